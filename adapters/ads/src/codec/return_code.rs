//! Return codes of ADS and of its router, with words.

use std::fmt;

/// A code other than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReturnCode(pub u32);

impl ReturnCode {
    /// No server listens on that AMS port.
    pub const NO_TARGET_PORT: Self = Self(0x06);
    /// The router knows no such net id.
    pub const NO_TARGET: Self = Self(0x07);
    /// The router cannot reach it.
    pub const UNREACHABLE: Self = Self(0x1B);
    /// The answer would be longer than there is room for it.
    pub const INVALID_SIZE: Self = Self(0x705);
    /// There is no such symbol.
    pub const NO_SYMBOL: Self = Self(0x710);

    /// Whether the device does not know the service at all, so that another way has to be taken.
    pub const fn is_unsupported(self) -> bool {
        matches!(self.0, 0x08 | 0x0B | 0x701 | 0x702 | 0x703 | 0x704)
    }

    /// Whether an address that was good no longer is: the program has changed.
    pub const fn is_stale(self) -> bool {
        matches!(self.0, 0x702 | 0x703 | 0x705 | 0x70C | 0x710 | 0x711)
    }

    /// Whether there can be no notification, though the variable may be read: no room, or none of that kind.
    pub const fn is_full(self) -> bool {
        matches!(self.0, 0x70A | 0x713 | 0x716 | 0x717 | 0x502)
    }

    /// Whether one variable of several may be what a request as a whole was refused for. Other codes say something of
    /// the device or of its router, which asking in parts would not mend.
    pub const fn is_about_one(self) -> bool {
        matches!(self.0, 0x700 | 0x702..=0x706 | 0x70B | 0x70C | 0x710 | 0x711 | 0x723)
    }

    const fn words(self) -> &'static str {
        match self.0 {
            0x01 => "internal error",
            0x02 => "no real-time system runs",
            0x03 | 0x19 => "no memory",
            0x04 | 0x502 => "the router's mailbox is full",
            0x06 => "no server has this AMS port: TwinCAT is in CONFIG mode, or the port is another",
            0x07 => "the controller's router knows no such AMS net id, or has no route back to us",
            0x08 | 0x0B => "unknown command",
            0x0D => "the AMS port is not connected",
            0x0E => "wrong length",
            0x0F => "invalid AMS net id",
            0x12 => "the AMS port is disabled",
            0x18 => "invalid AMS port",
            0x1A => "TCP error of the router",
            0x1B => "the controller's router cannot reach the AMS net id",
            0x509 => "invalid AMS port (router)",
            0x700 => "device error",
            0x701 => "the device has no such service",
            0x702 => "no such index group",
            0x703 => "no such index offset",
            0x704 => "access not allowed",
            0x705 => "the size is not that of the variable",
            0x706 => "invalid data",
            0x707 => "the device is not ready",
            0x708 => "the device is busy",
            0x709 => "wrong context (task)",
            0x70A => "the device has no memory left",
            0x70B => "invalid parameter",
            0x70C => "not found",
            0x70D => "syntax error",
            0x70E => "the objects do not match",
            0x70F => "it exists already",
            0x710 => "no such symbol in the PLC program",
            0x711 => "the symbol's version is not valid any more: the program has changed",
            0x712 => "the device is in an invalid state",
            0x713 => "this transmission mode is not supported",
            0x714 => "no such notification",
            0x715 => "unknown notification client",
            0x716 => "no more notification handles",
            0x717 => "no room for notifications of that size",
            0x718 => "the device is not initialised",
            0x719 => "the device timed out",
            0x71A => "no such interface",
            0x71C => "class id not valid",
            0x71F => "aborted by the device",
            0x721 => "no such array element",
            0x722 => "the symbol is not active",
            0x723 => "access denied",
            0x724 => "no licence",
            0x725 => "the licence has expired",
            0x740 => "client error",
            0x745 => "time-out of the router: there is no route, or the target is off",
            0x748 => "AMS port not open",
            0x751 => "no such entry in the table of notifications",
            0x1000 => "internal error of the real-time system",
            _ => "see Beckhoff's list of ADS return codes",
        }
    }
}

/// `ADS 0x710: no such symbol in the PLC program`.
impl fmt::Display for ReturnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ADS 0x{:X}: {}", self.0, self.words())
    }
}

/// The word for an ADS state.
pub fn state_word(state: u16) -> &'static str {
    match state {
        1 => "IDLE",
        2 => "RESET",
        3 => "INIT",
        4 => "START",
        5 => "RUN",
        6 => "STOP",
        7 => "SAVECFG",
        8 => "LOADCFG",
        9 => "POWERFAILURE",
        10 => "POWERGOOD",
        11 => "ERROR",
        12 => "SHUTDOWN",
        13 => "SUSPEND",
        14 => "RESUME",
        15 => "CONFIG",
        16 => "RECONFIG",
        17 => "STOPPING",
        18 => "INCOMPATIBLE",
        19 => "EXCEPTION",
        _ => "INVALID",
    }
}
