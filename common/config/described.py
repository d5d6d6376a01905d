"""A job's settings for people: name, value, and what each means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from common.config.duration import format_duration, is_duration


def described(model: type[BaseModel], values: Mapping[str, Any], block: str = "") -> list[tuple[str, str, str]]:
    """Settings as rows: name, value, and what it means; one of a block has the block's name before it.

    Args:
        model: The settings' type.
        values: As `model_dump` gives them; a name that the type does not have stays as it is.
        block: What stands before each name.
    """
    rows = []
    for name, value in values.items():
        field = model.model_fields.get(name)
        inner = None if field is None else field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(value, Mapping):
            rows += described(inner, value, f"{block}{name}.")
        else:
            rows.append((block + name, _shown(field, value), (field.description or "") if field else ""))
    return rows


def _shown(field: FieldInfo | None, value: object) -> str:
    if field is not None and is_duration(field) and isinstance(value, int):
        return format_duration(value)
    return "-" if value in (None, "") else json.dumps(value, ensure_ascii=False).strip('"')
