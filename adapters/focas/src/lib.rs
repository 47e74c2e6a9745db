//! Fanuc FOCAS over Ethernet, read-only, from published descriptions of the frames.
