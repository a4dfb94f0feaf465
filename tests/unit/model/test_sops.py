"""Files that SOPS has encrypted: which values of them are secrets, and what is said about one that cannot be read.

What sops says is that of version 3.13.3; tests/platforms/test_sops.py asks the program itself.
"""

import pytest

from tasks.model.errors import InputError
from tasks.model.profile import sops
from tasks.model.profile.interpolation import Variable
from tasks.model.profile.profile import Layer, resolve
from tasks.model.secret import Secret

KNOWN = ("LICENCE", "LOG_LEVEL")
AGE = "age1pdfy8ldde4fykae4cpjsyfw2ngezhkzejj6fl6am37xkacf6rfhqrrm4a7"
FILE = f"""#ENC[AES256_GCM,data:4x4APYzJ,iv:Y9Kb,tag:Qc==,type:comment]
DB_PASSWORD=ENC[AES256_GCM,data:JymY,iv:stg/,tag:9z==,type:str]
LOG_LEVEL=info
LICENCE=ENC[AES256_GCM,data:q0lh,iv:ad+e,tag:5d==,type:str]
sops_age__list_0__map_enc=-----BEGIN AGE ENCRYPTED FILE-----\\nYWdl\\n-----END AGE ENCRYPTED FILE-----\\n
sops_age__list_0__map_recipient={AGE}
sops_mac=ENC[AES256_GCM,data:mpqq,iv:ShAn,tag:Cn==,type:str]
sops_version=3.13.3
""".encode()
_AROUND = f"""Failed to get the data key required to decrypt the SOPS file.

Group 0: FAILED
  {AGE}: FAILED
%s

Recovery failed because no master key was able to decrypt the file. In
order for SOPS to recover the file, at least one key has to be successful,
but none were.
"""
NO_KEY = (
    _AROUND
    % """    - | failed to load age identities. Did not find keys in
      | locations 'SOPS_AGE_SSH_PRIVATE_KEY_FILE',
      | 'SOPS_AGE_KEY_FILE', 'SOPS_AGE_KEY_CMD', and
      | '/root/.config/sops/age/keys.txt'."""
)
ANOTHER = (
    _AROUND
    % """    - | failed to create reader for decrypting sops data key with
      | age: identity did not match any of the
      | recipients: incorrect identity for recipient block. Did not find keys in
      | locations 'SOPS_AGE_KEY', and 'SOPS_AGE_KEY_CMD'."""
)
NOT_A_KEY = (
    _AROUND
    % """    - | failed to load age identities. Errors while loading age
      | identities: failed to parse 'SOPS_AGE_KEY_FILE' age
      | identities: unknown identity type."""
)


def test_secrets_are_what_is_encrypted_and_not_the_lines_of_sops_itself() -> None:
    assert sops.is_encrypted(FILE)
    assert sops.encrypted_keys(FILE) == {"DB_PASSWORD", "LICENCE"}


@pytest.mark.parametrize("text", [b"", b"DB_PASSWORD=x\n", b"# sops_version=3\n", b"A=ENC[x]\n"])
def test_a_file_without_what_sops_adds_is_not_encrypted(text: bytes) -> None:
    assert not sops.is_encrypted(text)


@pytest.mark.parametrize(
    ("code", "said", "key_file", "expected"),
    [
        (127, "", "", "envs/prod.sops.env is encrypted, and sops is not installed"),
        (128, NO_KEY, "", "envs/prod.sops.env is encrypted for the age key age1pdfy8ldd…, and there is no key here"),
        (
            128,
            ANOTHER,
            "/k",
            "envs/prod.sops.env is encrypted for the age key age1pdfy8ldd…, and that of SOPS_AGE_KEY_FILE (/k) is "
            "another one",
        ),
        (128, ANOTHER, "", "envs/prod.sops.env is encrypted for the age key age1pdfy8ldd…, and sops has another one"),
        (128, NOT_A_KEY, "/k", "SOPS_AGE_KEY_FILE: /k has no age key"),
        (
            51,
            "MAC mismatch. File has 8530, computed F758",
            "/k",
            "envs/prod.sops.env was changed without sops: its MAC is that of another content",
        ),
        (
            25,
            "Error decrypting tree: Error walking tree: Could not decrypt value",
            "/k",
            "envs/prod.sops.env was changed without sops: its MAC is that of another content",
        ),
        (1, "\nsomething else\n\n", "/k", "envs/prod.sops.env: sops: something else"),
        (1, "", "/k", "envs/prod.sops.env: sops: no message"),
    ],
    ids=["no sops", "no key", "another key", "another key by itself", "no age key", "MAC", "value", "other", "silent"],
)
def test_one_line_says_why_a_file_is_not_decrypted(code: int, said: str, key_file: str, expected: str) -> None:
    error = sops.fault("envs/prod.sops.env", FILE, code, said, key_file)
    assert (error.exit_code, error.message) == (3, expected)
    assert error.hint


def test_a_file_that_no_age_key_opens_says_so() -> None:
    text = FILE.replace(f"sops_age__list_0__map_recipient={AGE}\n".encode(), b"")
    assert "is encrypted for no age key" in sops.fault("envs/prod.sops.env", text, 128, NO_KEY, "").message


def test_an_encrypted_value_is_a_secret_whatever_its_name_is() -> None:
    layers = [
        Layer("envs/prod.env", b"LOG_LEVEL=warn\n"),
        Layer(
            "envs/prod.sops.env", b"LICENCE=abc-123\nLOG_LEVEL=info\nTAG_PREFIX=v\n", encrypted=frozenset({"LICENCE"})
        ),
    ]
    found = resolve("prod", layers, {}, {}, {name: Variable(name, False, "compose.yaml:1") for name in KNOWN})
    assert found.values["LICENCE"].value == Secret("abc-123")
    assert (found.values["LOG_LEVEL"].value, found.values["LOG_LEVEL"].origin) == ("info", "envs/prod.sops.env:2")
    assert found.masked("the licence is abc-123") == "the licence is ***"
    assert found.encrypted == {"LICENCE"}


def test_it_stays_one_where_a_later_layer_sets_it_in_plain_text() -> None:
    layers = [
        Layer("envs/prod.sops.env", b"LICENCE=abc-123\n", encrypted=frozenset({"LICENCE"})),
        Layer("envs/prod.local.env", b"LICENCE=def-456\n"),
    ]
    found = resolve("prod", layers, {}, {}, {name: Variable(name, False, "compose.yaml:1") for name in KNOWN})
    assert found.values["LICENCE"].value == Secret("def-456")


def test_a_fault_in_an_encrypted_layer_does_not_repeat_a_value() -> None:
    layer = Layer(
        "envs/prod.sops.env", b"HEALTH_TIMEOUT=hunter2\nX=hunter2 y\n", encrypted=frozenset({"HEALTH_TIMEOUT", "X"})
    )
    with pytest.raises(InputError) as caught:
        resolve("prod", [layer], {}, {}, {})
    assert "envs/prod.sops.env:1: HEALTH_TIMEOUT: expected a duration" in caught.value.message
    assert "envs/prod.sops.env:2: X: " in caught.value.message
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"
    assert "hunter2" not in repr(layer)
