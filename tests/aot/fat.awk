# fat.awk LLVM ASSEMBLY: does every function use its own CPU's registers, and no other's? Of x86-64's levels: ymm from v3 on,
# zmm and masks on v4, and the kernels that multiply do use them.

FNR == 1 { file++ }

# Which attributes a function has, and which CPU attributes mean.
file == 1 && /^define / {
    name = $0
    sub(/^[^@]*@"?/, "", name)
    sub(/["(].*/, "", name)
    group[name] = match($0, /#[0-9]+/) ? substr($0, RSTART, RLENGTH) : ""
}
file == 1 && /^attributes #/ {
    cpu[$2] = match($0, /"target-cpu"="[^"]*"/) ? substr($0, RSTART + 14, RLENGTH - 15) : "x86-64"
}

file == 2 && /@function/ && !/\.L/ {
    name = $2
    gsub(/[",]|@function/, "", name)
    functions++
    level = name in group ? (group[name] in cpu ? cpu[group[name]] : "x86-64") : "unknown"
    seen[level]++
}
file == 2 && /^\t[a-z]/ {
    wide = /%zmm|%k[0-7]/ ? 4 : /%ymm|^\tv[a-z0-9]+\t/ ? 3 : 1
    has = level == "x86-64-v4" ? 4 : level == "x86-64-v3" ? 3 : 1
    if (wide > has) { print name " of " level " has " $0; bad = 1 }
    if (name ~ /gemm/ && wide == has && !(name in used)) { used[name] = 1; gemms[level]++ }
}
file == 2 && /@function/ && name ~ /gemm/ { all_gemms[level]++ }

END {
    split("x86-64 x86-64-v2 x86-64-v3 x86-64-v4", levels, " ")
    for (i = 1; i <= 4; i++) {
        print levels[i] ": " seen[levels[i]] + 0 " functions, " gemms[levels[i]] + 0 " of " all_gemms[levels[i]] + 0 " products use its registers"
        if (!seen[levels[i]] || !all_gemms[levels[i]] || gemms[levels[i]] != all_gemms[levels[i]]) bad = 1
    }
    if (seen["unknown"]) { print "functions of unknown CPUs"; bad = 1 }
    exit bad
}
