"""The programs sops and age-keygen, built from their Go modules."""

from pathlib import Path

from tests.cluster.programs import Programs

PACKAGES = {"sops": "github.com/getsops/sops/v3/cmd/sops", "age-keygen": "filippo.io/age/cmd/age-keygen"}
SOPS = Programs("sops", Path(__file__).with_name("sops"), PACKAGES)
