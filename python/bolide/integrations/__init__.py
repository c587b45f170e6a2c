"""Other libraries on bolide: each module registers itself with its library when it is imported."""
