"""Texts in which Kubernetes would put the values of variables."""

import re


def literal(text: str) -> str:
    """Return the text that Kubernetes makes this text of: it takes ``$(NAME)`` for a variable, and ``$$`` for ``$``.

    In the values of variables, and in the words of commands:
    https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#environment-variables.
    """
    # At the end too: a variable may follow.
    return re.sub(r"\$(?=[$(]|\Z)", "$$", text)
