"""How long a sweep will take, measured in advance."""
