//! The tables.

use super::Template;

/// All templates.
pub(super) const ALL: &[Template] = &[];
