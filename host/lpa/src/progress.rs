//! How far an operation came.

use core::fmt;

/// How far an operation came. `done` of `total` counts steps, or APDUs of the package while it is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// How much of the stage is done.
    pub done: usize,
    /// How much there is; never 0.
    pub total: usize,
}

/// The stages of a download in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Card and server authenticate each other.
    Authenticating,
    /// The card prepares for the package.
    Preparing,
    /// The server binds the package to the card and sends it.
    Fetching,
    /// The card installs the package.
    Installing,
    /// Servers are told.
    Notifying,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Stage; 5] =
        [Stage::Authenticating, Stage::Preparing, Stage::Fetching, Stage::Installing, Stage::Notifying];
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Authenticating => "authenticating",
            Stage::Preparing => "preparing the card",
            Stage::Fetching => "fetching the profile",
            Stage::Installing => "installing the profile",
            Stage::Notifying => "notifying the server",
        })
    }
}
