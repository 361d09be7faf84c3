//! Property tests of the decoders and of the tree.
