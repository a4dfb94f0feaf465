"""The parts of an image reference."""

import re

# https://github.com/distribution/reference: a host, the path of the repository, a tag, a digest.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = (
    rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*(?::\w[\w.-]{{0,127}})?(?:@[A-Za-z][A-Za-z0-9+._-]*:[0-9a-fA-F]{{32,}})?"
)


def is_reference(text: str) -> bool:
    """Whether a text is an image reference that an engine accepts, or the digest of an image."""
    return (
        re.fullmatch(_REFERENCE, text, re.ASCII) is not None or re.fullmatch(r"sha256:[0-9a-f]{64}", text) is not None
    )


def split_reference(reference: str) -> tuple[str, str]:
    """Return the repository and the tag of an image reference (``latest`` when it has none)."""
    name = reference.partition("@")[0]
    head, _, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return f"{head}/{repository}" if head else repository, tag or "latest"


def familiar(repository: str) -> str:
    """Return a repository as the engine writes it: Docker Hub's without its host."""
    return re.sub(r"\A(?:index\.)?docker\.io/(?:library/)?", "", repository)
