"""Read the U-Net authors' own networks, which are files of Caffe, without Caffe."""
