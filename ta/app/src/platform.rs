//! The TEE's random source, and what libraries ask for beside it.

use optee_utee::raw;
use teuicc_card::Rng;

/// OP-TEE's random number generator.
pub(crate) struct TeeRng;

impl Rng for TeeRng {
    /// By the system call: GlobalPlatform's function over it brings all of GlobalPlatform's cryptography into the TA.
    fn fill(&mut self, bytes: &mut [u8]) {
        // SAFETY: the pointer and the length are those of a slice.
        let code = unsafe { raw::_utee_cryp_random_number_generate(bytes.as_mut_ptr().cast(), bytes.len()) };
        if code != raw::TEE_SUCCESS {
            // SAFETY: it takes a number and does not return.
            unsafe { raw::TEE_Panic(code) };
        }
    }
}

/// What Linux tells a program of its processor. Nothing is known of it here: crates that look for instructions at run
/// time (keccak) do without; those that the build requires are not asked for.
#[unsafe(no_mangle)]
extern "C" fn getauxval(_: core::ffi::c_ulong) -> core::ffi::c_ulong {
    0
}

/// OP-TEE's start of a TA prepares GlobalPlatform's big numbers, which nothing here uses. This one in its place keeps
/// them, and the library below them, out of the TA.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "the name is OP-TEE's")]
extern "C" fn _TEE_MathAPI_Init() {}

/// A test of OP-TEE's allocator, which nothing runs, calls it. This one in its place keeps GlobalPlatform's
/// cryptography out of the TA.
#[unsafe(no_mangle)]
extern "C" fn rand() -> core::ffi::c_int {
    // SAFETY: it takes a number and does not return.
    unsafe { raw::TEE_Panic(raw::TEE_ERROR_NOT_SUPPORTED) };
    0
}
