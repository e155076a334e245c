"""A layer that is reviewed: what it says of its features, and how a state is written into it."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from qgis.core import (
    QgsFeatureRequest,
    QgsField,
    QgsVectorDataProvider,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QMetaType, Qt

from .reviewed import (
    AT,
    BY,
    COLUMNS,
    FITS,
    FLAGS,
    SCORES,
    STATE,
    TO_CHECK,
    Item,
    columns_for,
    flags_of,
    now,
    reviewer,
    score_of,
    state_and_own,
)
from .target import LABEL_FIELDS, TargetError
from .words import tr

LENGTHS = {STATE: 10, BY: 80, AT: 30}
"""Letters that the columns of a review have room for, where they are new."""
TEXTS = ("text", "string", "varchar")
"""Names of a type for texts, the best first."""
NUMBERS = (QMetaType.Type.Int, QMetaType.Type.LongLong)
NONE = -1
"""Place of a field that a layer does not have."""


class Places(NamedTuple):
    """Where a layer has the fields that a review looks at; ``NONE`` where it has not."""

    state: int
    label: int
    flags: int
    fits: int
    scores: Tuple[int, ...]
    number: int

    @property
    def read(self) -> List[int]:
        """The fields that there are."""
        every = (self.state, self.label, self.flags, self.fits, *self.scores, self.number)
        return sorted({place for place in every if place != NONE})


def is_polygons(layer: Any) -> bool:
    """Return whether something is a layer of polygons."""
    return (
        isinstance(layer, QgsVectorLayer)
        and layer.isValid()
        and layer.geometryType() == QgsWkbTypes.GeometryType.PolygonGeometry
    )


def places_of(layer: QgsVectorLayer) -> Places:
    """Return where a layer has the fields that a review looks at."""
    fields = layer.fields()
    named = [fields.lookupField(name) for name in LABEL_FIELDS]
    number = fields.indexFromName("id")
    counted = number != NONE and fields.at(number).type() in NUMBERS
    scores = [fields.indexFromName(name) for name in SCORES]
    return Places(
        state=fields.indexFromName(STATE),
        label=next((place for place in named if place != NONE), NONE),
        flags=fields.indexFromName(FLAGS),
        fits=fields.indexFromName(FITS),
        scores=tuple(one for one in scores if one != NONE and fields.at(one).isNumeric()),
        number=number if counted else NONE,
    )


def items_of(layer: QgsVectorLayer, fids: Optional[List[int]] = None) -> Iterator[Item]:
    """Yield what a layer says of its features, without their outlines.

    Args:
        layer: Polygons.
        fids: Of these alone; those that are gone are left out.
    """
    places = places_of(layer)
    request = QgsFeatureRequest()
    request.setFlags(QgsFeatureRequest.Flag.NoGeometry)
    request.setSubsetOfAttributes(places.read)
    if fids is not None:
        request.setFilterFids(fids)
    for feature in layer.getFeatures(request):
        fid, values = feature.id(), feature.attributes()

        def value(place: int, values: List[Any] = values) -> Any:
            return plain(values[place]) if 0 <= place < len(values) else None

        state, own = state_and_own(value(places.state))
        label, number = value(places.label), value(places.number)
        yield Item(
            fid,
            fid if number is None else number,
            state,
            "" if label is None else str(label),
            flags_of(value(places.flags), value(places.fits)),
            score_of(*(value(place) for place in places.scores)),
            own,
        )


def plain(value: Any) -> Any:
    """Return a value of a field as Python has it; None for QGIS's own ``NULL``."""
    if hasattr(value, "toString"):  # a date or a time
        value = value.toString(Qt.DateFormat.ISODate)
    return value if isinstance(value, (str, bool, int, float)) else None


def who_and_when(layer: QgsVectorLayer, fid: int) -> Tuple[str, str]:
    """Return who has given a feature its state, and when; empty where that is not known."""
    fields, values = layer.fields(), layer.getFeature(fid).attributes()
    places = [fields.indexFromName(name) for name in (BY, AT)]
    said = [plain(values[at]) if NONE < at < len(values) else None for at in places]
    return str(said[0] or ""), str(said[1] or "")


def why_not(layer: QgsVectorLayer) -> str:
    """Return why no state can be written into a layer now; empty where one can."""
    able = layer.dataProvider().capabilities()
    if layer.readOnly() or not able & QgsVectorDataProvider.Capability.ChangeAttributeValues:
        return tr("the layer {name} can not be edited: review a copy of it", name=layer.name())
    if not layer.isEditable():
        return tr("toggle editing of {name} to review it", name=layer.name())
    names = layer.fields().names()
    foreign = next((name for name in names if name.lower() in COLUMNS and name not in COLUMNS), "")
    if foreign:
        return tr("the layer {name} has a column {column} of its own: rename it first",
                  name=layer.name(), column=foreign)  # fmt: skip
    missing = [name for name in COLUMNS if layer.fields().indexFromName(name) == NONE]
    if missing and not able & QgsVectorDataProvider.Capability.AddAttributes:
        return tr(
            "the layer {name} has no {columns} and takes no new columns: review a copy of it",
            name=layer.name(), columns=", ".join(missing),
        )  # fmt: skip
    return ""


def write_state(layer: QgsVectorLayer, items: Iterable[Item], state: str) -> bool:
    """Give features a state, with who and when, as one edit; returns whether anything changes.

    Columns of a review that are missing are added.

    Raises:
        TargetError: The layer can not be edited, has a column ``review`` that says something else,
            or refuses the state; nothing is changed.
    """
    chosen, why = list(items), why_not(layer)
    if why:
        raise TargetError(why)
    foreign = next((one for one in chosen if one.own), None)
    if foreign is not None:
        raise TargetError(
            tr("feature {number} has a column {column} of its own, {value}: rename it first",
               number=foreign.number, column=STATE, value=repr(foreign.own)[:60])
        )  # fmt: skip
    if not chosen or (state == TO_CHECK and all(one.state == TO_CHECK for one in chosen)):
        return False
    said = columns_for(state, reviewer(), now())
    layer.beginEditCommand(tr("Review with geoiseg"))
    try:
        written = _write(layer, [one.fid for one in chosen], said)
    except BaseException:
        layer.destroyEditCommand()
        raise
    if not written:
        layer.destroyEditCommand()
        raise TargetError(tr("the layer {name} refuses the state", name=layer.name()))
    layer.endEditCommand()
    layer.triggerRepaint()
    return True


def _write(layer: QgsVectorLayer, fids: List[int], said: Dict[str, Optional[str]]) -> bool:
    for name in said:
        if layer.fields().indexFromName(name) == NONE and not layer.addAttribute(_new(layer, name)):
            return False
    values: Dict[int, Any] = {}
    for name, value in said.items():
        place = layer.fields().indexFromName(name)
        field = layer.fields().at(place)
        if name == BY and value is not None and field.length() > 0:
            value = value[: field.length()]  # noqa: PLW2901
        try:
            values[place] = field.convertCompatible(value)
        except ValueError:
            return False
    return all(layer.changeAttributeValues(fid, values) for fid in fids)


def _new(layer: QgsVectorLayer, name: str) -> QgsField:
    """Return a field for texts, of the type that the layer's own provider has for them."""
    native = [one for one in layer.dataProvider().nativeTypes()
              if one.mType == QMetaType.Type.QString]  # fmt: skip
    named = {one.mTypeName.lower(): one for one in reversed(native)}
    best = next((named[text] for text in TEXTS if text in named), native[0] if native else None)
    field = QgsField(name)
    field.setLength(LENGTHS[name])
    if best is not None:
        field.setType(best.mType)
        field.setTypeName(best.mTypeName)
    return field
