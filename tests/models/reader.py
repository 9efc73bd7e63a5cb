# SPDX-License-Identifier: Apache-2.0
"""Text readers before transformers (Shi et al. 2015, CRNN): convolutions make the columns of a line, recurrent layers read them."""
import torch.nn as nn


class Reader(nn.Module):
    """Two bidirectional LSTMs, steps first, as CRNN has them, and a GRU with the batch first."""

    def __init__(self, dim=12, classes=11):
        super().__init__()
        self.columns = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, dim, 3, padding=1), nn.BatchNorm2d(dim),
                                     nn.ReLU(), nn.MaxPool2d((4, 2)), nn.Conv2d(dim, dim, (4, 2)), nn.ReLU())
        self.lstm = nn.LSTM(dim, 10, num_layers=2, bidirectional=True)
        self.between = nn.Linear(20, 14)
        self.gru = nn.GRU(14, 9, batch_first=True)
        self.head = nn.Linear(9, classes)

    def forward(self, image):
        x = self.columns(image).squeeze(2).permute(2, 0, 1)
        x = self.between(self.lstm(x)[0]).transpose(0, 1)
        return self.head(self.gru(x)[0])
