"""The header of a weights file: read without torch, written beside every set of tensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from minifold_core.discovery import find_components
from minifold_core.errors import RequestError
from minifold_core.recipe import Recipe, recipe_from_tables
from minifold_core.recipe_schema import Section
from minifold_core.weights import digest
from minifold_core.weights.layout import Layout, read_layout

SCHEMA = 2
"""1 had neither hash nor migrations."""
KEY = "minifold_weights"
RANDOM: Final = "random"
TRAINED: Final = "trained"


class Header(Section):
    """What a weights file says of itself.

    Attributes:
        recipe: the resolved recipe, as :meth:`minifold_core.recipe.Recipe.to_tables` gives it.
        components: slot path to ``"name/version"`` of the component that made the tensors.
        plugins: slot path to the name and version of the distribution that brought the component,
            where it is not minifold.
        step: optimizer steps taken.
        epoch: epochs finished, 0 if none.
        encoder: ``"random"`` for a frozen encoder that was never trained, ``"trained"`` for one
            that trained here or came from a file where it had.
        parents: slot path to the SHA-256 of the file whose weights it started from.
        data: the training data, by name.
        data_digest: SHA-256 of the training data, if known.
        metrics: validation figures at that epoch.
        migrations: reports of the migrations that led here, the oldest first, as
            :meth:`minifold_core.weights.report.Report.to_json` gives them.
        fresh: slots that a migration left with weights as they were drawn, in part at least.
        descent: SHA-256 of all that the first weights came from, as
            :func:`minifold_core.weights.seen.descent` gives it.
    """

    recipe: dict[str, Any]
    components: dict[str, str]
    plugins: dict[str, str] = Field(default_factory=dict)
    step: int = 0
    epoch: int = 0
    encoder: str = RANDOM
    parents: dict[str, str] = Field(default_factory=dict)
    data: str = ""
    data_digest: str = ""
    metrics: dict[str, float] = Field(default_factory=dict)
    migrations: list[dict[str, Any]] = Field(default_factory=list)
    fresh: list[str] = Field(default_factory=list)
    descent: list[str] = Field(default_factory=list)

    @property
    def untrained(self) -> list[str]:
        """The ``fresh`` slots, unless something was trained since."""
        return [] if self.step else self.fresh

    def read_recipe(self, origin: str) -> Recipe:
        """The recipe, checked against what is installed.

        Args:
            origin: the file, for errors.

        Raises:
            RequestError: it does not fit; packages that made it and are not there are named.
        """
        try:
            return recipe_from_tables(self.recipe, origin)
        except RequestError as error:
            have = {offer.origin.release for offer in find_components().items.values()}
            lost = sorted(set(self.plugins.values()) - have)
            if not lost:
                raise
            raise RequestError(
                f"{error}\nIt was made with {', '.join(lost)}: install that"
            ) from None

    def to_metadata(self) -> dict[str, str]:
        """The header as safetensors metadata, with room for the file's hash."""
        return {
            KEY: json.dumps({"schema": SCHEMA, **self.model_dump()}),
            digest.KEY: digest.BLANK,
        }


def read_header(path: str | Path) -> Header:
    """Read the header of a weights file that minifold wrote, and nothing else of it.

    Raises:
        RequestError: no such file, not safetensors, not minifold's, or of a newer schema.
    """
    path = Path(path)
    header = header_of(read_layout(path), path)
    if header is None:
        raise RequestError(f"{path} holds no weights written by minifold: its header has no recipe")
    return header


def header_of(layout: Layout, path: Path) -> Header | None:
    """The header in a file's metadata; None if minifold did not write it.

    Raises:
        RequestError: it is damaged, or of a newer schema.
    """
    if KEY not in layout.metadata:
        return None
    try:
        fields = json.loads(layout.metadata[KEY])
        schema = fields.pop("schema")
        if schema > SCHEMA:
            raise RequestError(
                f"{path} has weights schema {schema}, newer than {SCHEMA}; update minifold"
            )
        if schema == SCHEMA and digest.KEY not in layout.metadata:
            raise ValueError("its hash is missing")
        return Header.model_validate(fields)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        why = str(error).splitlines()[0]
        raise RequestError(f"{path}: its minifold header is damaged ({why})") from None
