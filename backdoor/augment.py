"""Random crop and flip of training images, a batch at a time, by one gather of uint8.

The usual augmentation of 32 x 32 photographs: pad by 4 black pixels, crop back to the image's size
anywhere, mirror every second image. A *view* is one such draw: (top, left, mirrored).
"""

from __future__ import annotations

import numpy as np
import torch

from backdoor.streams import stream

#: Black pixels around an image before it is cropped.
PAD = 4


def draw_views(seed: int, images: int, epoch: int) -> torch.Tensor:
    """(images, 3) int64: top and left in [0, 2 PAD], mirrored 0 or 1, for every training image.

    Equal for all trials of equal seed, whatever their attack, defence and batch size.
    """
    drawn = stream("augmentation", seed, images, epoch)
    corners = drawn.integers(0, 2 * PAD + 1, (images, 2))
    return torch.from_numpy(np.hstack([corners, drawn.integers(0, 2, (images, 1))]))


def crop_flip(images: torch.Tensor, views: torch.Tensor) -> torch.Tensor:
    """images (b, c, h, w) uint8 as the views (b, 3) show them, a new tensor of the same shape."""
    b, c, h, w = images.shape
    framed = images.new_zeros(b, c, h + 2 * PAD, w + 2 * PAD)
    framed[:, :, PAD : PAD + h, PAD : PAD + w] = images
    top, left, mirrored = views.to(images.device).T[:, :, None]  # each (b, 1)
    down, right = (torch.arange(side, device=images.device) for side in (h, w))
    columns = left + torch.where(mirrored > 0, w - 1 - right, right)  # (b, w)
    pixels = ((top + down) * framed.shape[3])[:, :, None] + columns[:, None]  # (b, h, w)
    seen = framed.flatten(2).gather(2, pixels.view(b, 1, h * w).expand(b, c, h * w))
    return seen.view(b, c, h, w)
