"""Columns as JSON text, built column by column: no Python object a value."""

from __future__ import annotations

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from common.streams.columns import as_array, enum_texts, relisted

_NULL = pa.scalar("null")


def json_lines(records: pa.Table) -> pa.Array:
    """Each row as a JSON object, without a line feed.

    Timestamps are epoch ms, enums strings, bytes strings of ISO-8859-1 code points (Avro
    specification 1.12, "JSON Encoding"; of a union, the bare value).

    Args:
        records: Any table of the types that contracts use; less than 2 GiB as text.
    """
    return _object(records.schema.names, [json_text(as_array(column)) for column in records.columns])


def json_text(array: pa.Array) -> pa.Array:
    """Each value as JSON text; `null` for a null."""
    text = _text(array)
    if array.null_count == 0:
        return text
    return pc.if_else(array.is_valid(), text, _NULL)


def _text(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_struct(kind):
        children = [json_text(array.field(i)) for i in range(kind.num_fields)]
        return _object([child.name for child in kind], children)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _array(array)
    if pa.types.is_dictionary(kind):
        return enum_texts(array, json_text(array.dictionary.cast(pa.string())))
    if pa.types.is_timestamp(kind):
        return array.cast(pa.timestamp("ms", kind.tz), safe=False).view(pa.int64()).cast(pa.string())
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_finite(array), array.cast(pa.string()), _NULL)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        texts = [None if raw is None else raw.decode("latin-1") for raw in array.to_pylist()]
        return _quoted(pa.array(texts, pa.string()))
    text = array.cast(pa.string())
    return _quoted(text) if pa.types.is_string(kind) or pa.types.is_large_string(kind) else text


def _object(names: list[str], children: list[pa.Array]) -> pa.Array:
    parts: list[pa.Array | pa.Scalar] = []
    for number, (name, child) in enumerate(zip(names, children, strict=True)):
        opening = "," if number else "{"
        parts += [pa.scalar(f"{opening}{orjson.dumps(name).decode()}:"), child]
    return pc.binary_join_element_wise(*parts, pa.scalar("}"), pa.scalar(""))


def _array(array: pa.Array) -> pa.Array:
    texts = relisted(array, json_text(array.flatten()))
    return pc.binary_join_element_wise(pa.scalar("["), pc.binary_join(texts, ","), pa.scalar("]"), pa.scalar(""))


def _quoted(strings: pa.Array) -> pa.Array:
    if not _needs_escapes(strings):
        quote = pa.scalar('"')
        return pc.binary_join_element_wise(quote, strings, quote, pa.scalar(""))
    distinct = pc.fill_null(strings, "").dictionary_encode()
    # What is shown of a bad record may hold bytes that are not UTF-8.
    texts = [raw.decode(errors="replace") for raw in distinct.dictionary.cast(pa.binary()).to_pylist()]
    quoted = pa.array([orjson.dumps(text).decode() for text in texts], pa.string())
    return quoted.take(distinct.indices)


def _needs_escapes(strings: pa.Array) -> bool:
    """Whether any string holds a quote, a backslash or a control character (RFC 8259, section 7)."""
    _, places, content = strings.buffers()
    if content is None or not len(strings):
        return False
    offsets = np.frombuffer(places, np.int32)[strings.offset : strings.offset + len(strings) + 1]
    text = np.frombuffer(content, np.uint8)[offsets[0] : offsets[-1]]
    return bool((text < ord(" ")).any() or (text == ord('"')).any() or (text == ord("\\")).any())
