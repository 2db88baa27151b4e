//! Certificates of identity providers, checked at upload.
