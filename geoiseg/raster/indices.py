"""Spectral indices by name: what to compute from the bands, and who said so first.

Names and formulas as in Awesome Spectral Indices (https://github.com/awesome-spectral-indices,
MIT), checked against the papers: its AWEInsh adds the term in short-wave infrared that Feyisa et
al. subtract. Its package, spyndex, has more than 200, but evaluates their formulas as Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Index:
    """One spectral index."""

    name: str
    title: str
    formula: str
    """Of roles of bands."""
    source: str
    """Where it was published."""
    needs_reflectance: bool = False
    """Whether its constants are for reflectances of 0 to 1 and for nothing else."""


_DOI = "https://doi.org/"
_ALL = (
    Index("ndvi", "Normalised difference vegetation index", "(nir-red)/(nir+red)",
          "https://ntrs.nasa.gov/citations/19740022614"),
    Index("gndvi", "Green normalised difference vegetation index", "(nir-green)/(nir+green)",
          _DOI + "10.1016/S0034-4257(96)00072-7"),
    Index("ndre", "Normalised difference red edge index", "(nir-rededge1)/(nir+rededge1)",
          _DOI + "10.1016/1011-1344(93)06963-4"),
    Index("evi", "Enhanced vegetation index", "2.5*(nir-red)/(nir+6*red-7.5*blue+1)",
          _DOI + "10.1016/S0034-4257(96)00112-5", needs_reflectance=True),
    Index("evi2", "Two-band enhanced vegetation index", "2.5*(nir-red)/(nir+2.4*red+1)",
          _DOI + "10.1016/j.rse.2008.06.006", needs_reflectance=True),
    Index("savi", "Soil-adjusted vegetation index", "1.5*(nir-red)/(nir+red+0.5)",
          _DOI + "10.1016/0034-4257(88)90106-X", needs_reflectance=True),
    Index("ndwi", "Normalised difference water index (McFeeters)", "(green-nir)/(green+nir)",
          _DOI + "10.1080/01431169608948714"),
    Index("mndwi", "Modified normalised difference water index", "(green-swir16)/(green+swir16)",
          _DOI + "10.1080/01431160600589179"),
    Index("aweinsh", "Automated water extraction index", "4*(green-swir16)-(0.25*nir+2.75*swir22)",
          _DOI + "10.1016/j.rse.2013.08.029"),
    Index("aweish", "Automated water extraction index where there is shadow",
          "blue+2.5*green-1.5*(nir+swir16)-0.25*swir22", _DOI + "10.1016/j.rse.2013.08.029"),
    Index("ndmi", "Normalised difference moisture index", "(nir-swir16)/(nir+swir16)",
          _DOI + "10.1016/S0034-4257(01)00318-2"),
    Index("ndsi", "Normalised difference snow index", "(green-swir16)/(green+swir16)",
          _DOI + "10.1109/IGARSS.1994.399618"),
    Index("nbr", "Normalised burn ratio", "(nir-swir22)/(nir+swir22)",
          _DOI + "10.3133/ofr0211"),
    Index("nbr2", "Normalised burn ratio 2", "(swir16-swir22)/(swir16+swir22)",
          "https://www.usgs.gov/landsat-missions/landsat-normalized-burn-ratio-2"),
    Index("ndbi", "Normalised difference built-up index", "(swir16-nir)/(swir16+nir)",
          _DOI + "10.1080/01431160304987"),
    Index("bsi", "Bare soil index", "((swir16+red)-(nir+blue))/((swir16+red)+(nir+blue))",
          "Rikimaru, Roy and Miyatake (2002), Tropical Ecology 43(1):39-47"),
)  # fmt: skip
_AWEI = next(one for one in _ALL if one.name == "aweinsh")

INDICES = MappingProxyType({**{one.name: one for one in _ALL}, "awei": _AWEI})
"""Every index by its name in lower case; ``awei`` is the one without shadow."""


def index_named(text: str) -> Index | None:
    """Return the index of a name in any case, or None."""
    return INDICES.get(text.strip().lower())
