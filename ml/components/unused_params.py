"""Params that only some choices of another param use."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ml.components.component import Component


def refuse_unused(component: Component, choice: str, users: Mapping[str, Collection[str]]) -> None:
    """Raise ValueError where a param is set that has no effect with the value of `choice`.

    `choice` is the name of the param that decides; `users` says with which of its values
    each other param has an effect.
    """
    chosen = getattr(component, choice)
    for param, using in users.items():
        given = getattr(component, param)
        if chosen not in using and given != type(component).model_fields[param].default:
            raise ValueError(
                f"{choice} {chosen} does not use {param}; leave it out, or choose {choice} "
                + " or ".join(using)
            )
