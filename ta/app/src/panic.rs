//! The end of the instance: where, and nothing else. The message of a panic may hold what must not leave.

use core::panic::PanicInfo;
use optee_utee::raw;

/// Digits of the largest line number.
const DIGITS: usize = 10;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    log(b"panic at ");
    if let Some(location) = info.location() {
        log(location.file().as_bytes());
        log(b":");
        log_number(location.line());
    }
    log(b"\n");
    // SAFETY: it takes a number and does not return.
    unsafe { raw::TEE_Panic(raw::TEE_ERROR_GENERIC) };
    loop {}
}

fn log(text: &[u8]) {
    // SAFETY: the pointer and the length are those of a slice.
    unsafe { raw::_utee_log(text.as_ptr().cast(), text.len()) };
}

fn log_number(mut number: u32) {
    let mut digits = [b'0'; DIGITS];
    let mut first = DIGITS.saturating_sub(1);
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        // The remainder is below 10.
        *digit = b'0'.saturating_add((number % 10) as u8);
        number /= 10;
        first = at;
        if number == 0 {
            break;
        }
    }
    log(digits.get(first..).unwrap_or_default());
}
