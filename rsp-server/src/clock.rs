//! The time, as certificates write it.

use std::time::{SystemTime, UNIX_EPOCH};
use teuicc_rsp::certificate::Time;

const DAY: u64 = 24 * 60 * 60;
/// Ten years and the leap days in them.
pub(crate) const TEN_YEARS: u64 = 3652 * DAY;

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `YYYYMMDDHHMMSSZ` from seconds since 1970.
pub(crate) fn timestamp(seconds: u64) -> String {
    // Days in the Gregorian calendar, counted in years that begin in March, so that the leap day is the last.
    let (days, second) = (seconds / DAY + 719_468, seconds % DAY);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// The time now, to compare with a certificate's validity.
pub(crate) fn certificate_time() -> Time {
    let text = timestamp(now());
    Time(text.as_bytes().try_into().unwrap_or(*b"99991231235959Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_of_known_days() {
        // The outputs of `date -u -d @N +%Y%m%d%H%M%SZ`.
        for (seconds, text) in [
            (0, "19700101000000Z"),
            (951_782_399, "20000228235959Z"),
            (951_782_400, "20000229000000Z"),
            (951_868_800, "20000301000000Z"),
            (1_795_379_679, "20261122203439Z"),
            (4_107_542_400, "21000301000000Z"),
        ] {
            assert_eq!(timestamp(seconds), text);
        }
    }
}
