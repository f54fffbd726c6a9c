"""Annotations: labels to exact outlines and back, and the files of ImageJ and QuPath that hold them."""
