"""joblib and scikit-learn on bolide's workers, under the name that Ray gives the backend: "ray"."""

__all__ = ["register_ray"]


def register_ray() -> None:
    """Registers bolide with joblib, as the backends "ray" and "bolide".

    Raises:
        ImportError: joblib is not installed.

    Example:
        >>> register_ray()
        >>> with joblib.parallel_backend("ray"):
        ...     search.fit(x, y)

    Follows Ray's page "Distributed Scikit-learn / Joblib".
    """
    from ...integrations import joblib  # registers itself

    joblib.register()
