"""Random crop and flip of training images, a batch at a time, by two gathers of uint8.

The usual augmentation of 32 x 32 photographs: pad by 4 black pixels, crop to the original size at a
random place, mirror with probability 1/2. A *view* is the choice for one image: (top, left,
mirrored).
"""

from __future__ import annotations

import numpy as np
import torch

from backdoor.streams import stream

#: Black pixels around an image before it is cropped.
PAD = 4


def draw_views(seed: int, images: int, epoch: int) -> torch.Tensor:
    """A view of each image, (images, 3) int64: top and left in [0, 2 PAD], mirrored 0 or 1.

    Equal for all trials of equal seed, whatever their attack, defence and batch size.
    """
    rng = stream("augmentation", seed, images, epoch)
    corners = rng.integers(0, 2 * PAD + 1, (images, 2))
    return torch.from_numpy(np.hstack([corners, rng.integers(0, 2, (images, 1))]))


def crop_flip(images: torch.Tensor, views: torch.Tensor) -> torch.Tensor:
    """images (b, h, w, c) uint8 as the views (b, 3) show them, a new tensor of the same shape.

    Whole rows of pixels are gathered first, then the bytes within them.
    """
    b, h, w, c = images.shape
    padded = images.new_zeros(b, h + 2 * PAD, w + 2 * PAD, c)
    padded[:, PAD : PAD + h, PAD : PAD + w] = images
    top, left, mirrored = views.to(images.device).T[:, :, None]  # each (b, 1)
    down, right, channel = (torch.arange(side, device=images.device) for side in (h, w, c))
    first = torch.arange(b, device=images.device)[:, None] * (h + 2 * PAD)
    lines = padded.view(-1, (w + 2 * PAD) * c).index_select(0, (first + top + down).flatten())
    columns = left + torch.where(mirrored > 0, w - 1 - right, right)  # (b, w)
    numbers = (columns[:, :, None] * c + channel).view(b, 1, w * c)
    return lines.view(b, h, -1).gather(2, numbers.expand(b, h, w * c)).view(b, h, w, c)
