//! End codes: what a controller says when it does not do what was asked.

/// In words for an operator; the number is for whoever looks it up in the manual of the CPU.
pub fn words(code: u16) -> String {
    let words = match code {
        0x0055 | 0xC062 => {
            "writing is switched off while the controller runs: enable online change in its parameters"
        }
        0x4000..=0x4002 => "the controller does not understand the request",
        0x4005 => "too much data for one request",
        0x4010 | 0x4013 => "the controller must be stopped for this",
        0x4030 => "there is no such kind of device in this controller",
        0x4031 => "the device number is beyond the range that the parameters of the controller give it",
        0x4032 => "this device cannot be read in this way",
        0x4040..=0x4043 => "the module asked for is not there, or cannot be read",
        0x4060 | 0x4064 => "another programming tool is changing the program",
        0x4068 => "the controller does not allow this operation now",
        0x4080 => "the request has a value that is not allowed",
        0x408B => "the controller refuses it by its parameters",
        0x4A00..=0x4AFF => "the network or station is not reached: see network, station and module_io",
        0xC035 => "the other end was not alive in the time of its monitoring",
        0xC050 => "the port is set to ASCII code: set it to binary",
        0xC051..=0xC054 => "too many points for one request",
        0xC056 => "the device number is beyond the range of the device",
        0xC057 | 0xC058 | 0xC061 => "the request's length does not fit its contents",
        0xC059 => "the controller does not know this command",
        0xC05A | 0xC05B => "this device cannot be read or written here",
        0xC05C => "the request's contents are wrong, or there is no such kind of device",
        0xC05D => "nothing was registered to be monitored",
        0xC05E => "the CPU did not answer its port within the monitoring timer: it is busy or not reached",
        0xC05F | 0xC073 | 0xC074 => {
            "the station asked for cannot do this: see network, station and module_io"
        }
        0xC060 => "a bit value is neither 0 nor 1",
        0xC06F => "the port is set to binary or ASCII otherwise than the request",
        0xC070 => "the station asked for cannot extend device memory",
        0xC071 => "too many points, or none",
        0xC072 | 0xC0B5 | 0xC0D9 => "the request's contents are wrong",
        0xC0B2 => "the controller's receive buffer is full",
        0xC0B3 => "the CPU cannot do this",
        0xC0B9..=0xC0BD => "the connection at the controller is not open, or busy",
        0xC0DE => "a station on the way did not answer in time",
        0xC1A7..=0xC1A8 => "the network or station number is wrong",
        0xC1A9 | 0xC1AA => "there is no such device",
        0xC200..=0xC205 | 0xC810..=0xC816 => "a remote password locks the port",
        0xC86C => "too many requests at once: others use this controller too",
        0xCEE0 => "the controller is busy detecting devices for a programming tool",
        _ => "the controller refused",
    };
    format!("{words} (end code {code:04X})")
}

/// Whether the request was too long for this controller, rather than wrong in one of its points.
pub const fn is_too_many(code: u16) -> bool {
    matches!(code, 0xC051..=0xC054 | 0xC071)
}

/// Whether one of the devices asked for may be the cause; else it is the request, the route or the controller as a whole.
pub const fn is_about_points(code: u16) -> bool {
    !matches!(
        code,
        0x0055 | 0x4000..=0x4013 | 0x4060..=0x4068 | 0x4A00..=0x4AFF | 0xC001..=0xC050 | 0xC059 | 0xC05D..=0xC05F
            | 0xC062..=0xC06F | 0xC073..=0xC0BD | 0xC0DE | 0xC1A4..=0xC1A8 | 0xC200..=0xC205 | 0xC810..=0xCEE2
    )
}

/// Whether the controller does not know the command at all.
pub const fn is_unknown_command(code: u16) -> bool {
    matches!(code, 0xC059 | 0x4001 | 0x4002)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_reads_words_and_the_code() {
        assert_eq!(words(0xC059), "the controller does not know this command (end code C059)");
        assert!(words(0x4031).contains("beyond the range"));
        assert!(words(0x1234).ends_with("(end code 1234)"));
        assert!(is_about_points(0xC056) && is_about_points(0x4031) && !is_about_points(0xC05E));
        assert!(is_too_many(0xC052) && !is_too_many(0xC056) && is_unknown_command(0xC059));
    }
}
