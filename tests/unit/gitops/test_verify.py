"""Who may sign: real signatures of commits and tags by SSH and OpenPGP keys, good ones and all kinds of bad ones."""

import time
from pathlib import Path

import pytest
from signed_repository import Author, run

from tasks.gitops import verify
from tasks.gitops.verify import Candidate

_DAY = 86400


@pytest.fixture
def author(tmp_path: Path) -> Author:
    return Author(tmp_path)


def looked(author: Author, gpg_keys: Path | None = None, signers: bool = True, by_tag: bool = False) -> Candidate:
    clone = author.clone()
    config = author.configuration(signers, gpg_keys, by_tag)

    def look() -> Candidate:
        clone.fetch()
        return verify.candidate(clone, config)

    return clone.whole(look)


def at(moment: float) -> dict[str, str]:
    """Return the environment in which git takes a moment for the time of a commit."""
    return {"GIT_COMMITTER_DATE": f"{moment:.0f} +0000", "GIT_AUTHOR_DATE": f"{moment:.0f} +0000"}


def test_a_commit_with_the_signature_of_an_allowed_key_is_verified(author: Author) -> None:
    commit = author.commit({"a": "1"})
    assert looked(author) == Candidate(commit, signer="ann@example.com")


def test_a_commit_without_a_signature_is_not(author: Author) -> None:
    author.commit()
    commit = author.commit(signed=False)
    found = looked(author)
    assert (found.commit, found.refusal) == (commit, f"commit {commit[:12]} is not deployed: it is not signed")


def test_a_signed_commit_vouches_for_unsigned_ones_before_it(author: Author) -> None:
    author.commit({"a": "1"}, signed=False)
    commit = author.commit({"a": "2"})
    assert looked(author) == Candidate(commit, signer="ann@example.com")


def test_another_key_is_not_allowed(author: Author) -> None:
    author.commit(key=author.new_key("eve"))
    assert looked(author).refusal.endswith("the key that signed it is none of those allowed")


def test_an_expired_key_is_not_allowed(author: Author) -> None:
    author.allow(author.key, 'valid-before="20200101"')
    author.commit()
    assert looked(author).refusal.endswith("the key that signed it has expired")


def test_an_expired_key_does_not_sign_for_the_time_when_it_was_valid(author: Author) -> None:
    """git itself verifies a signature for the time that the commit gives, which who has the key can choose."""
    author.allow(author.key, 'valid-before="20200101"')
    commit = author.commit(**at(1_500_000_000))
    trusting = ("-c", f"gpg.ssh.allowedSignersFile={author.signers}")
    said = run("git", "-C", str(author.work), *trusting, "log", "-1", "--format=%G?", commit)
    assert said == "G", "or this test shows nothing"

    assert looked(author).refusal.endswith("the key that signed it has expired")


def test_a_key_that_is_not_valid_yet_is_not_allowed(author: Author) -> None:
    author.allow(author.key, 'valid-after="20990101"')
    author.commit()
    assert looked(author).refusal.endswith("the key that signed it is not valid yet")


def test_a_clock_that_is_wrong_is_told(author: Author) -> None:
    author.commit(**at(time.time() + 2 * _DAY))
    assert (
        "dated 48.0 h in the future: the clock of its author or that of this machine is wrong" in looked(author).refusal
    )


def test_a_signature_of_another_commit_does_not_count(author: Author) -> None:
    commit = author.commit({"a": "1"})
    raw = author.git("cat-file", "commit", commit).replace("\n\nchange", "\n\nanother change")
    (author.directory / "forged").write_text(raw + "\n")
    forged = author.git("hash-object", "-t", "commit", "-w", str(author.directory / "forged"))
    author.git("push", "--quiet", "--force", "origin", f"{forged}:main")
    assert looked(author).refusal == f"commit {forged[:12]} is not deployed: its signature is of another content"


def test_a_commit_with_two_signatures_is_not_taken(author: Author) -> None:
    commit = author.commit({"a": "1"})
    raw = author.git("cat-file", "commit", commit)
    begin = raw.index("gpgsig ")
    end = raw.index("-----END SSH SIGNATURE-----") + len("-----END SSH SIGNATURE-----\n")
    (author.directory / "forged").write_text(f"{raw[:end]}{raw[begin:end]}{raw[end:]}\n")
    forged = author.git("hash-object", "-t", "commit", "-w", "--literally", str(author.directory / "forged"))
    author.git("push", "--quiet", "--force", "origin", f"{forged}:main")
    assert "it has a signature of another kind" in looked(author).refusal


def test_keys_that_the_user_trusts_elsewhere_do_not_count(author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    eve = author.new_key("eve")
    kind, text = eve.with_suffix(".pub").read_text().split()[:2]
    theirs = author.directory / "trusted"
    theirs.write_text(f"eve@example.com {kind} {text}\n")
    accepts = author.directory / "accepts"
    accepts.write_text("#!/bin/sh\necho 'Good \"git\" signature for eve@example.com with'\n")
    accepts.chmod(0o755)
    config = author.directory / "gitconfig"
    for key, value in (("gpg.ssh.allowedSignersFile", theirs), ("gpg.ssh.program", accepts), ("gpg.program", accepts)):
        run("git", "config", "--file", str(config), key, str(value))
    author.commit(key=eve)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    assert looked(author).refusal.endswith("the key that signed it is none of those allowed")


def test_a_tag_is_verified_where_tags_are_to_be_signed(author: Author) -> None:
    first = author.commit(signed=False)
    author.git("tag", "--sign", "v1.0.0", "--message=first")
    author.commit(signed=False)
    author.push()
    assert looked(author, by_tag=True) == Candidate(first, signer="ann@example.com")


def test_a_tag_without_a_signature_is_not_taken(author: Author) -> None:
    author.commit()
    author.git("tag", "--sign", "v1.0.0", "--message=first")
    commit = author.commit()
    author.git("tag", "--annotate", "v1.1.0", "--message=second")
    author.push()
    found = looked(author, by_tag=True)
    assert (found.commit, found.refusal) == (commit, f"tag v1.1.0 ({commit[:12]}) is not deployed: it is not signed")


def test_a_name_without_a_tag_does_not_count(author: Author) -> None:
    author.commit()
    author.git("tag", "v1.0.0")
    author.push()
    assert looked(author, by_tag=True).refusal == "no annotated version tag is on the branch"


def test_a_signed_tag_under_another_name_is_not_taken(author: Author) -> None:
    author.commit()
    author.git("tag", "--sign", "v1.0.0", "--message=first")
    author.git("update-ref", "refs/tags/v9.0.0", author.git("rev-parse", "refs/tags/v1.0.0"))
    author.push()
    assert "its signature is that of tag v1.0.0" in looked(author, by_tag=True).refusal


@pytest.fixture
def gpg(author: Author) -> dict[str, str]:
    """A home of OpenPGP with a key of its own, whose agent is gone afterwards."""
    home = author.directory / "g"
    home.mkdir(mode=0o700)
    return {"GNUPGHOME": str(home)}


def new_gpg_key(author: Author, gpg: dict[str, str], name: str, expires: str = "never") -> Path:
    """Make an OpenPGP key and export its public part."""
    generate = ("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", f"{name}@example.com")
    run(*generate, "ed25519", "sign", expires, env=gpg)
    exported = author.directory / f"{name}.asc"
    exported.write_text(run("gpg", "--armor", "--export", f"{name}@example.com", env=gpg) + "\n")
    return exported


def signed_by_gpg(author: Author, gpg: dict[str, str], name: str) -> str:
    author.git("-c", "gpg.format=openpgp", "-c", f"user.signingkey={name}@example.com", "commit", "--quiet",
               "--allow-empty", "--gpg-sign", "--message=gpg", **gpg)  # fmt: skip
    author.push()
    return author.git("rev-parse", "HEAD")


def test_an_openpgp_key_that_is_allowed_verifies_a_commit(author: Author, gpg: dict[str, str]) -> None:
    try:
        keys = new_gpg_key(author, gpg, "bob")
        new_gpg_key(author, gpg, "eve")
        commit = signed_by_gpg(author, gpg, "bob")
        assert looked(author, keys, signers=False) == Candidate(commit, signer="bob@example.com")
        assert "GITOPS_GPG_KEYS is not set" in looked(author).refusal

        signed_by_gpg(author, gpg, "eve")
        assert looked(author, keys).refusal.endswith("the key that signed it is none of those allowed")

        author.commit()
        assert "GITOPS_ALLOWED_SIGNERS is not set" in looked(author, keys, signers=False).refusal
    finally:
        run("gpgconf", "--kill", "all", env=gpg)


def test_the_users_own_key_ring_does_not_count(
    author: Author, gpg: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        new_gpg_key(author, gpg, "bob")
        signed_by_gpg(author, gpg, "bob")
        monkeypatch.setenv("GNUPGHOME", gpg["GNUPGHOME"])
        assert "GITOPS_GPG_KEYS is not set" in looked(author).refusal
    finally:
        run("gpgconf", "--kill", "all", env=gpg)
