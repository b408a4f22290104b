"""Any network of timm (PyTorch Image Models), untrained, by the name that timm gives it.

timm is optional: `pip install 'backdoor-sweeps[timm]'`.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from backdoor.architectures.base import Shape
from backdoor.architectures.networks import Network, library_class
from backdoor.architectures.stems import fit_first_layers


@dataclass(frozen=True)
class TimmModel(Network):
    """A network of timm, such as timm/resnet26d, where timm is installed.

    Its first convolution is fitted to the images like that of torchvision/NAME; networks that timm
    makes for one size of images are made for the size of these, and keep their patches.
    """

    kind: ClassVar[str] = "timm/NAME"
    name: ClassVar[str]

    @classmethod
    def named(cls, name: str) -> type[TimmModel]:
        try:
            import timm
        except ImportError:
            remedy = "Install it where trials are trained: pip install 'backdoor-sweeps[timm]'."
            raise ValueError("needs the package timm", remedy) from None
        if not timm.is_model(name):
            near = ", ".join(difflib.get_close_matches(name, timm.list_models(), n=5)) or "none"
            raise ValueError("must be timm/ and a network of timm", f"Similar names: {near}.")
        found: type[TimmModel] = library_class(cls, name)
        return found

    def make(self, shape: Shape, classes: int) -> nn.Module:
        import timm

        cfg = timm.get_pretrained_cfg(self.name)
        fixed = bool(cfg is not None and cfg.fixed_input_size)
        how: dict[str, Any] = {"img_size": shape[1:]} if fixed else {}
        network = timm.create_model(self.name, num_classes=classes, in_chans=shape[0], **how)
        return fit_first_layers(network, shape, keep_stride=fixed)
