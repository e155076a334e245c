"""What weights there are, where they come from and what they may be used for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from geoiseg.errors import WeightsError
from geoiseg.models.weights.click_rows import CLICK_ROWS, ClickRow
from geoiseg.models.weights.light_rows import LIGHT_ROWS, LightRow

META = "https://dl.fbaipublicfiles.com"
HUB = "https://huggingface.co"
SAM2 = "segment_anything_2/072824"
SAM21 = "segment_anything_2/092824"
HUB_PREFIX = "hf:"
"""How a name begins that stands for a repository on Hugging Face."""
RESTRICTED = re.compile(r"(?i)(^|[^a-z])(nc|non-?commercial|research|other|unknown|none)($|[^a-z])")
"""Licences that forbid a use, or that nobody can know by their name."""

_FILE_NAME = re.compile(r"\w[\w.+-]*")
_REPO = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_REVISION = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a set of weights."""

    name: str
    """Name in the store; never a path."""
    url: str = ""
    """Where it is downloaded from; empty for a file of the checkpoint's repository."""
    sha256: str = ""
    """As published; empty where nobody publishes one: it is then pinned at the first pull."""
    size: int = 0
    """Exact bytes as published, or 0."""

    def __post_init__(self) -> None:
        if not _FILE_NAME.fullmatch(self.name):
            raise WeightsError(f"{self.name!r} can not be the name of a file of weights")
        if self.url:
            check_url(self.url)
        if self.sha256 and not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise WeightsError(f"{self.sha256!r} is no SHA-256 of {self.name}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A set of weights of one model."""

    name: str
    """What a user calls it."""
    family: str
    """``sam``, ``sam-hq``, ``sam2``, ``edgetam``, ``sam3``, ``efficient-sam``,
    ``efficientvit-sam``, or a click network's; ``hub`` where nobody knows yet."""
    architecture: str | None
    """Name the loader knows it by; None is found out from the file."""
    parameters: int
    bytes: int
    """Of the download; rounded where no exact figure is published."""
    licence: str
    """SPDX identifier, or the name of a licence that has none."""
    source: str
    """Page to read about it and its licence."""
    files: tuple[RemoteFile, ...]
    """None listed: all that a model on Hugging Face needs."""
    repo: str = ""
    """``organisation/name`` on Hugging Face, where it comes from there."""
    revision: str = ""
    """Commit of that repository; where empty, it is pinned at the first pull."""
    notice: str = ""
    """What the licence forbids; it has to be accepted before the first download."""
    needs: tuple[str, ...] = ("torch", "transformers")
    """Packages of the extra ``sam`` without which it does not run."""

    @property
    def slug(self) -> str:
        """Name of its folder in the store."""
        return re.sub(r"[:/@]", "--", self.name)

    @property
    def by_hand(self) -> bool:
        """Whether its page hands it to people only, so that nothing can be downloaded here."""
        return not self.repo and any(not file.url for file in self.files)

    @property
    def about(self) -> str:
        """Size and licence in a few words."""
        size = readable(self.bytes) if self.bytes else "size unknown"
        return f"{size}, {self.licence}"


def check_url(url: str) -> None:
    """Refuse what could be changed on its way: anything but https, or this machine itself.

    Raises:
        WeightsError: Neither.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and parts.hostname == "127.0.0.1":
        return
    raise WeightsError(f"weights are downloaded by https only, got {url!r}")


def readable(count: int) -> str:
    """Return a number of bytes as people say it, e.g. ``375 MB``."""
    if count < 1_000_000:
        return f"{count / 1e3:.0f} kB" if count >= 1000 else f"{count} bytes"
    if count < 1_000_000_000:
        return f"{count / 1e6:.0f} MB"
    return f"{count / 1e9:.2f} GB"


def from_hub(reference: str) -> Checkpoint:
    """Return the checkpoint of a name like ``hf:org/name`` or ``hf:org/name@revision``.

    Raises:
        WeightsError: It is not of that form.
    """
    repo, _, revision = reference.removeprefix(HUB_PREFIX).partition("@")
    if not _REPO.fullmatch(repo) or (revision and not _REVISION.fullmatch(revision)):
        raise WeightsError(
            f"a model on Hugging Face is written hf:organisation/name, got {reference!r}"
        )
    return Checkpoint(
        f"{HUB_PREFIX}{repo}" + (f"@{revision}" if revision else ""),
        "hub",
        None,
        0,
        0,
        "licence on its page",
        f"{HUB}/{repo}",
        (),
        repo,
        revision,
    )


def _meta(
    name: str, family: str, parameters: float, size: float, path: str, sha256: str
) -> Checkpoint:
    page = "segment-anything" if family == "sam" else "sam2"
    file = RemoteFile(path.rpartition("/")[2], f"{META}/{path}", sha256)
    return Checkpoint(
        name,
        family,
        name,
        int(parameters * 1e6),
        int(size * 1e6),
        "Apache-2.0",
        f"https://github.com/facebookresearch/{page}",
        (file,),
    )


def _hub(
    name: str, family: str, parameters: float, size: float, repo: str, revision: str = ""
) -> Checkpoint:
    names = ("config.json", "preprocessor_config.json", "model.safetensors")
    return Checkpoint(
        name,
        family,
        name,
        int(parameters * 1e6),
        int(size * 1e6),
        "Apache-2.0",
        f"{HUB}/{repo}",
        tuple(RemoteFile(file) for file in names),
        repo,
        revision,
        needs=("torch", "transformers", "timm")
        if family == "edgetam"
        else ("torch", "transformers"),
    )


WORD_FAMILIES = ("clip", "owlv2", "grounding-dino", "clipseg")
"""Families that find what words name, and take no clicks."""


def _words(
    name: str, family: str, parameters: float, size: float, repo: str, licence: str = "Apache-2.0"
) -> Checkpoint:
    return Checkpoint(
        name, family, None, int(parameters * 1e6), int(size * 1e6), licence,
        f"{HUB}/{repo}", (), repo,
    )  # fmt: skip


def _clicks(row: ClickRow) -> Checkpoint:
    return Checkpoint(
        row.name, row.name.partition("-")[0], row.name, row.parameters, row.bytes, row.licence,
        row.page, (RemoteFile(row.file, row.url),), notice=row.notice, needs=("torch",),
    )  # fmt: skip


def _light(row: LightRow) -> Checkpoint:
    return Checkpoint(
        row.name, row.family, row.name, row.parameters, row.bytes, "Apache-2.0", row.page,
        (RemoteFile(row.file, row.url),), needs=("torch",),
    )  # fmt: skip


OPEN_CLIP = "open-clip"
"""Architecture of a CLIP in a checkpoint of open_clip."""
CHECKPOINTS = (".pt", ".pth", ".bin", ".safetensors")
"""How the name of a file of weights ends that open_clip has written."""
VOCABULARY = f"{HUB}/openai/clip-vit-large-patch14/resolve/32bd64288804d66eefd0ccbe215aa642df71cc41"
"""Where CLIP's vocabulary is, the same for all of them, which such a checkpoint lacks."""
WORDS_OF_CLIP = (
    ("vocab.json", "3f0c4f7d2086b61b38487075278ea9ed04edb53a03cbb045b86c27190fa8fb69", 961_143),
    ("merges.txt", "9fd691f7c8039210e0fced15865466c65820d09b63988b0174bfe25de299051a", 524_619),
)
"""Its files."""
GEORSCLIP_NOTICE = (
    "The licence of GeoRSCLIP's weights is given as 'cc' without saying which of Creative Commons';"
    " it may forbid uses, for instance commercial ones (its code is MIT); read"
    f" {HUB}/Zilun/GeoRSCLIP."
)


def _open_clip(
    name: str, parameters: float, repo: str, file: RemoteFile, terms: tuple[str, str]
) -> Checkpoint:
    words = [
        RemoteFile(part, f"{VOCABULARY}/{part}", sha256, bytes_)
        for part, sha256, bytes_ in WORDS_OF_CLIP
    ]
    licence, notice = terms
    size = int(parameters * 4e6) + 1_500_000
    return Checkpoint(
        name, "clip", OPEN_CLIP, int(parameters * 1e6), size, licence, f"{HUB}/{repo}",
        (file, *words), notice=notice,
    )  # fmt: skip


SAM3_NOTICE = (
    "SAM 3 comes under Meta's own SAM License, not under an open-source licence. Among other"
    " terms it forbids military and warfare use, nuclear applications, espionage, anything under"
    " ITAR, and use against sanctions or export controls; copies must carry the licence. Access"
    " is granted by Meta on the model's page."
)

_ROWS = (
    _meta("sam-vit-b", "sam", 93.7, 375.042383, "segment_anything/sam_vit_b_01ec64.pth",
          "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912"),
    _meta("sam-vit-l", "sam", 312.3, 1250, "segment_anything/sam_vit_l_0b3195.pth",
          "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622"),
    _meta("sam-vit-h", "sam", 641.1, 2560, "segment_anything/sam_vit_h_4b8939.pth",
          "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e"),
    Checkpoint("mobile-sam", "sam", "mobile-sam", 10_130_000, 40_728_226, "Apache-2.0",
               "https://github.com/ChaoningZhang/MobileSAM",
               (RemoteFile("mobile_sam.pt",
                           "https://raw.githubusercontent.com/ChaoningZhang/MobileSAM/master/"
                           "weights/mobile_sam.pt",
                           "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
                           40_728_226),)),
    _hub("slimsam-77", "sam", 9.7, 38.9, "Zigeng/SlimSAM-uniform-77",
         "9e72a1bc79fa17f1f4e239003f0d84170c96464d"),
    _hub("sam-hq-vit-b", "sam-hq", 94.8, 379, "syscv-community/sam-hq-vit-base"),
    _hub("sam-hq-vit-l", "sam-hq", 313.4, 1250, "syscv-community/sam-hq-vit-large"),
    _hub("sam-hq-vit-h", "sam-hq", 642.2, 2570, "syscv-community/sam-hq-vit-huge"),
    Checkpoint("sam-hq-tiny", "sam-hq", "sam-hq-tiny", 10_600_000, 42_500_000, "Apache-2.0",
               f"{HUB}/lkeab/hq-sam", (RemoteFile("sam_hq_vit_tiny.pth"),), "lkeab/hq-sam",
               "a3a77cd0a2e5e50eaa76faccf61b964732d9b35f"),
    _meta("sam2-hiera-tiny", "sam2", 38.9, 155.90605, f"{SAM2}/sam2_hiera_tiny.pt",
          "65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125"),
    _meta("sam2-hiera-small", "sam2", 46, 184.30965, f"{SAM2}/sam2_hiera_small.pt",
          "95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3"),
    _meta("sam2-hiera-base-plus", "sam2", 80.8, 323,
          f"{SAM2}/sam2_hiera_base_plus.pt",
          "d0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071"),
    _meta("sam2-hiera-large", "sam2", 224.4, 897.952466,
          f"{SAM2}/sam2_hiera_large.pt",
          "7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b"),
    _meta("sam2.1-hiera-tiny", "sam2", 38.9, 156.008466,
          f"{SAM21}/sam2.1_hiera_tiny.pt",
          "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69"),
    _meta("sam2.1-hiera-small", "sam2", 46, 184, f"{SAM21}/sam2.1_hiera_small.pt",
          "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38"),
    _meta("sam2.1-hiera-base-plus", "sam2", 80.8, 324,
          f"{SAM21}/sam2.1_hiera_base_plus.pt",
          "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5"),
    _meta("sam2.1-hiera-large", "sam2", 224.4, 898, f"{SAM21}/sam2.1_hiera_large.pt",
          "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318"),
    _hub("edgetam", "edgetam", 13.9, 56, "yonigozlan/EdgeTAM-hf"),
    Checkpoint("sam3", "sam3", "sam3", 848_000_000, 3_450_000_000, "SAM License",
               f"{HUB}/facebook/sam3", (), "facebook/sam3",
               "3c879f39826c281e95690f02c7821c4de09afae7", SAM3_NOTICE),
    *map(_light, LIGHT_ROWS),
    *map(_clicks, CLICK_ROWS),
    _words("clip-vit-b-32", "clip", 151.3, 605, "openai/clip-vit-base-patch32", "MIT"),
    _words("clip-vit-l-14", "clip", 427.6, 1710, "openai/clip-vit-large-patch14", "MIT"),
    _open_clip("remoteclip-vit-b-32", 151.3, "chendelong/RemoteCLIP",
               RemoteFile("RemoteCLIP-ViT-B-32.pt",
                          f"{HUB}/chendelong/RemoteCLIP/resolve/"
                          "bf1d8a3ccf2ddbf7c875705e46373bfe542bce38/RemoteCLIP-ViT-B-32.pt",
                          "60014e395d930a3f2963d1d89c8522bf4ad56775571e4356e866864789af85c4",
                          605_208_421), ("Apache-2.0", "")),
    _open_clip("remoteclip-vit-l-14", 427.6, "chendelong/RemoteCLIP",
               RemoteFile("RemoteCLIP-ViT-L-14.pt",
                          f"{HUB}/chendelong/RemoteCLIP/resolve/"
                          "bf1d8a3ccf2ddbf7c875705e46373bfe542bce38/RemoteCLIP-ViT-L-14.pt",
                          "fcc2a7e21e171f4ffcb7a9c0206b8b74ac0c9eb83c67b576958b7a4ed6c8cecb"),
               ("Apache-2.0", "")),
    _open_clip("georsclip-vit-b-32", 151.3, "Zilun/GeoRSCLIP",
               RemoteFile("RS5M_ViT-B-32.pt",
                          f"{HUB}/Zilun/GeoRSCLIP/resolve/"
                          "4920188e6eba4e711ef9848cfd7cb77e874ee33f/ckpt/RS5M_ViT-B-32.pt",
                          "129bafaa6a097b8be52e2babf27d24f0a934dae919201e538dc698611bd1ea01"),
               ("CC, unspecified", GEORSCLIP_NOTICE)),
    _words("owlv2-base", "owlv2", 155, 620, "google/owlv2-base-patch16-ensemble"),
    _words("grounding-dino-tiny", "grounding-dino", 172, 690, "IDEA-Research/grounding-dino-tiny"),
    _words("clipseg", "clipseg", 150.7, 603, "CIDAS/clipseg-rd64-refined"),
)  # fmt: skip

CATALOGUE: dict[str, Checkpoint] = {row.name: row for row in _ROWS}
"""Every set of weights by the name of its model.

Hashes of SAM, MobileSAM, SAM 2, SAM 2.1, RemoteCLIP and GeoRSCLIP are those that several public
projects pin; what comes from Hugging Face is checked against the hash its repository lists for
the commit.
"""
