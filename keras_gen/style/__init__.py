"""Style transfer: the statistics that carry a style, and the systems that move it from picture to picture."""
