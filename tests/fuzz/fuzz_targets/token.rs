//! Nobody signs but the account, see `leadlight_functions::fuzzing::token`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| leadlight_functions::fuzzing::token(octets));
