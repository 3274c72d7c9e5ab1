//! Commands to the ISD-R (SGP.22 v2.5 section 5.7.2).

use super::interface::Application;
use super::{Context, Outcome};
use teuicc_apdu::{Command, StatusWord};

/// STORE DATA: the eUICC reads and executes it. Without the ISD-R selected the instruction does not exist.
pub(super) fn store_data(cx: &mut Context<'_>, command: &Command<'_>) -> Outcome {
    if cx.channel.application != Application::IsdR {
        return Err(StatusWord::INSTRUCTION_NOT_SUPPORTED.into());
    }
    let (response, effect) = cx.euicc.store_data(&mut cx.env, &mut cx.channel.assembly, command, cx.toolkit);
    cx.effect = effect;
    Ok(response)
}
