"""OME-Zarr images and label images, versions 0.4 (Zarr format 2) and 0.5 (Zarr format 3), on local disks."""
