# SPDX-License-Identifier: Apache-2.0
# Read by CPack once a generator.
if(CPACK_GENERATOR STREQUAL DEB)
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
endif()
