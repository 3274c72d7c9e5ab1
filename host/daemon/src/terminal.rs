//! The person at the terminal: consent, confirmation code, progress bar.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{BufRead, IsTerminal, Write};
use teuicc_lpa::download::{PprIds, ProfileMetadata};
use teuicc_lpa::drive::User;
use teuicc_lpa::{ConfirmationCode, Consent, Progress};

/// Asks at the terminal and shows progress there. Questions go to standard error, so that standard output holds
/// results alone.
pub struct Terminal {
    yes: bool,
    bar: ProgressBar,
}

impl Terminal {
    /// With `yes` consent is taken as given; `quiet` shows no progress.
    #[must_use]
    pub fn new(yes: bool, quiet: bool) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(1) };
        if let Ok(style) = ProgressStyle::with_template("{msg:24} [{bar:32}] {pos}/{len}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Terminal { yes, bar }
    }

    /// Takes the progress bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Asks a question that is answered with yes or no; no terminal means no.
    pub fn confirm(question: &str) -> std::io::Result<bool> {
        Ok(ask(&format!("{question} [y/N] "))?.is_some_and(|answer| answer.eq_ignore_ascii_case("y")))
    }
}

/// Asks for a line. `None` without a terminal to ask at.
fn ask(question: &str) -> std::io::Result<Option<String>> {
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    let mut out = std::io::stderr().lock();
    write!(out, "{question}")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(Some(answer.trim().to_owned()))
}

impl User for Terminal {
    fn consent(&mut self, metadata: &ProfileMetadata) -> Consent {
        if self.yes {
            return Consent::Given;
        }
        let rules = metadata.policy_rules;
        let mut rule_texts = String::new();
        for (rule, text) in [(PprIds::PPR1, "It cannot be disabled."), (PprIds::PPR2, "It cannot be deleted.")] {
            if rules.contains(rule) {
                rule_texts.push_str("\n  ");
                rule_texts.push_str(text);
            }
        }
        let question = format!(
            "{} offers this profile:\n  {} ({}), ICCID {}{rule_texts}\nInstall it? [y]es, [n]o, [l]ater: ",
            metadata.server.as_str(),
            metadata.profile_name,
            metadata.service_provider_name,
            metadata.iccid
        );
        match self.bar.suspend(|| ask(&question)) {
            Ok(Some(answer)) if answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes") => {
                Consent::Given
            }
            Ok(Some(answer)) if answer.eq_ignore_ascii_case("n") || answer.eq_ignore_ascii_case("no") => {
                Consent::Refused
            }
            Ok(Some(_)) => Consent::Postponed,
            // Nobody there to ask: the order must not be used up for that.
            Ok(None) | Err(_) => {
                eprintln!("nobody can be asked for consent here; use --yes");
                Consent::Postponed
            }
        }
    }

    fn confirmation_code(&mut self, refused: bool) -> Option<ConfirmationCode> {
        let question = if refused { "That code was wrong. Confirmation code: " } else { "Confirmation code: " };
        self.bar.suspend(|| ask(question)).ok().flatten().and_then(ConfirmationCode::new)
    }

    fn progress(&mut self, progress: Progress) {
        self.bar.set_message(progress.stage.to_string());
        self.bar.set_length(progress.total as u64);
        self.bar.set_position(progress.done as u64);
    }
}
