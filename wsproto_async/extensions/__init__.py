"""Extensions (RFC 6455 9): how they are agreed on, and what they make of payloads.

:class:`PerMessageDeflate` is written on :class:`Extension` and :class:`Codec`; so can others be.
"""

from .base import Codec, Extension, Parameters, Recent
from .permessage_deflate import PerMessageDeflate

__all__ = ["Codec", "Extension", "Parameters", "PerMessageDeflate", "Recent"]
