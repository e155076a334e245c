"""Models of transformers, built from tensors that were read safely."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoiseg.errors import WeightsError, require


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What is needed to build a model, apart from its tensors."""

    network: str
    """Name of the class in transformers."""
    config: Mapping[str, Any]
    """What ``config.json`` says."""
    path: Path
    """Where the tensors came from, for messages."""
    elsewhere: str = ""
    """How the names of tensors begin that are not handed over, because another module has them."""


def build(blueprint: Blueprint, state: Mapping[str, Any]) -> Any:
    """Return a model of transformers with these tensors, in fp32, ready for inference.

    Nothing is read from disk and nothing downloaded; tensors that the model does not have,
    such as a tracker's memory, are left aside.

    Args:
        blueprint: Class and configuration.
        state: Tensors by name, as transformers writes them.

    Raises:
        WeightsError: The configuration makes no such model, or tensors are missing or of
            another shape.
        MissingExtraError: transformers, or what this class needs of it, is not installed.
    """
    torch = require("torch", "sam")
    network = getattr(require("transformers", "sam"), blueprint.network)
    where = repr(str(blueprint.path))
    try:
        config = network.config_class.from_dict(dict(blueprint.config))
        with _quiet():
            model, found = network.from_pretrained(
                None,
                config=config,
                state_dict=dict(state),
                dtype=torch.float32,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except ImportError:
        raise
    except Exception as error:  # a strange configuration may bring about anything
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{where} makes no {blueprint.network}: {reason}") from error
    _check(found, blueprint)
    return model.eval().requires_grad_(False)  # noqa: FBT003 - torch's own signature


def _check(found: Mapping[str, Any], blueprint: Blueprint) -> None:
    where = repr(str(blueprint.path))
    missing = sorted(found["missing_keys"])
    if blueprint.elsewhere:
        missing = [name for name in missing if not name.startswith(blueprint.elsewhere)]
    if missing:
        raise WeightsError(
            f"{where} lacks {len(missing)} tensors of a {blueprint.network}, the first is"
            f" {missing[0]!r}; is it another model's, or only a part?"
        )
    wrong = sorted(found["mismatched_keys"])
    if wrong:
        name, has, wanted = wrong[0]
        raise WeightsError(
            f"{where} has {len(wrong)} tensors of another shape than its configuration says:"
            f" {name!r} is {tuple(has)}, not {tuple(wanted)}"
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the bar and the table that transformers prints while it loads off the terminal."""
    bars: Any = require("transformers.utils.logging", "sam")
    logger = logging.getLogger("transformers")
    level, shown = logger.level, bars.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    bars.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)
        if shown:
            bars.enable_progress_bar()
