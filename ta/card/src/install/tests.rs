//! The installer over published and edited packages.
