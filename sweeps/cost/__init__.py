"""What a sweep will take, measured beforehand."""
