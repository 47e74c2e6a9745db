//! End codes: what a controller says when it does not do what was asked.

/// In words for an operator; the number is for whoever looks it up in the manual of the CPU.
pub fn words(code: u16) -> String {
    let words = match code {
        0x4000..=0x400F => "the controller does not understand the command",
        0x4010 => "the controller must be stopped for this",
        0x4013 => "the controller's state does not allow it",
        0x4030 => "there is no such kind of device in this controller",
        0x4031 => "the device number is beyond the range that the parameters of the controller give it",
        0x4032 => "this device cannot be read in this way",
        0x4080 => "the request has a value that is not allowed",
        0x408B => "remote control is switched off at the controller",
        0x40A0..=0x40AF => "the module has refused",
        0x4A00..=0x4AFF => "the network or station is not reached: see the routing parameters",
        0xC035 => "the controller did not answer its Ethernet port in time",
        0xC050 => "the port is set to ASCII code: set it to binary",
        0xC051..=0xC054 => "too many points for one request",
        0xC055 => "the file has no such data",
        0xC056 => "the device number is beyond the range of the device",
        0xC057 => "the request's length is wrong",
        0xC058 => "the request's length does not fit its data",
        0xC059 => "the controller does not know this command",
        0xC05B => "this device cannot be read or written here",
        0xC05C => "the request's contents are wrong, or there is no such kind of device",
        0xC05D => "nothing was registered to be monitored",
        0xC05E => "the monitoring timer has run out: the CPU is busy or not reached",
        0xC05F => "the request cannot be done at the station asked",
        0xC060 => "a bit value is neither 0 nor 1",
        0xC061 => "the request's length does not fit its contents",
        0xC06F => "the port is set to binary or ASCII otherwise than the request",
        0xC070 => "the station asked for cannot extend device memory",
        0xC0B5 => "the module cannot handle this data",
        0xC200..=0xC204 => "the remote password is wrong, or locks the port",
        0xC810..=0xC816 => "the remote password is wrong, or locks the port",
        0xCEE0 => "the controller is busy with another programming tool",
        0xCEE1 | 0xCEE2 => "the request is too long for the station on the way",
        0xCF10 => "the station asked for does not support this",
        0xCF20 => "the request is not right for this station",
        0xCF30 | 0xCF31 => "the command is not supported by the station asked for",
        0xCF43 | 0xCF44 => "a station on the way does not answer",
        0xCF51..=0xCF54 => "the device or its range is refused by the station asked for",
        0xCF70 | 0xCF71 => "the route to the station is broken",
        _ => "the controller refused",
    };
    format!("{words} (end code {code:04X})")
}

/// Whether the request was too long for this controller, rather than wrong in one of its points.
pub const fn is_too_many(code: u16) -> bool {
    matches!(code, 0xC051..=0xC054)
}

/// Whether the controller does not know the command at all.
pub const fn is_unknown_command(code: u16) -> bool {
    matches!(code, 0xC059 | 0x4001 | 0x4002 | 0xCF30 | 0xCF31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_reads_words_and_the_code() {
        assert_eq!(words(0xC059), "the controller does not know this command (end code C059)");
        assert!(words(0x4031).contains("beyond the range"));
        assert!(words(0x1234).ends_with("(end code 1234)"));
        assert!(is_too_many(0xC052) && !is_too_many(0xC056) && is_unknown_command(0xC059));
    }
}
