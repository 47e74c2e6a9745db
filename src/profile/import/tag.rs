//! A tag, as both forms of a list say it.

use guideway_contract::{Access, Kind};

/// A tag.
#[derive(Clone, Debug)]
pub(super) struct Tag {
    /// Its name with those of its groups in front: `Motor1.Speed`.
    pub(super) name: String,
    /// As the list writes it.
    pub(super) address: String,
    /// Its type, or why there is none.
    pub(super) data_type: Result<Type, String>,
    pub(super) access: Access,
    pub(super) period_ms: Option<u64>,
    pub(super) scaling: Scaling,
    pub(super) units: String,
    pub(super) description: String,
}

/// KEPServerEX's data types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    Default,
    String,
    Boolean,
    Char,
    Byte,
    Short,
    Word,
    Long,
    DWord,
    Float,
    Double,
    Bcd,
    Lbcd,
    Date,
    LLong,
    QWord,
}

/// By the number that projects write.
const NUMBERED: [(Base, &str); 15] = [
    (Base::String, "string"),
    (Base::Boolean, "boolean"),
    (Base::Char, "char"),
    (Base::Byte, "byte"),
    (Base::Short, "short"),
    (Base::Word, "word"),
    (Base::Long, "long"),
    (Base::DWord, "dword"),
    (Base::Float, "float"),
    (Base::Double, "double"),
    (Base::Bcd, "bcd"),
    (Base::Lbcd, "lbcd"),
    (Base::Date, "date"),
    (Base::LLong, "llong"),
    (Base::QWord, "qword"),
];

/// The number of the first array type.
const ARRAYS: i64 = 20;

/// A type, or an array of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Type {
    pub(super) base: Base,
    pub(super) array: bool,
}

impl Type {
    /// `Word`, `Word Array`; nothing is the address's own.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        let (word, array) = match lower.strip_suffix("array") {
            Some(word) => (word.trim_end(), true),
            None => (lower.as_str(), false),
        };
        if word.is_empty() || word == "default" {
            return Ok(Self { base: Base::Default, array });
        }
        let base = NUMBERED.iter().find(|(_, name)| *name == word).map(|(base, _)| *base);
        base.map(|base| Self { base, array }).ok_or_else(|| format!("`{}` is no data type", text.trim()))
    }

    /// 5 is Word, 25 is an array of them, -1 is the address's own.
    pub(super) fn numbered(number: i64) -> Result<Self, String> {
        if number == -1 {
            return Ok(Self { base: Base::Default, array: false });
        }
        let array = number >= ARRAYS;
        let place = usize::try_from(if array { number - ARRAYS } else { number }).ok();
        let base = place.and_then(|place| NUMBERED.get(place)).map(|(base, _)| *base);
        base.map(|base| Self { base, array }).ok_or_else(|| format!("{number} is no data type"))
    }
}

impl Base {
    /// As profiles write it; `None` for texts, dates and what the address decides.
    pub(super) const fn kind(self) -> Option<Kind> {
        Some(match self {
            Self::Default | Self::String | Self::Date => return None,
            Self::Boolean => Kind::Bool,
            Self::Char => Kind::I8,
            Self::Byte => Kind::U8,
            Self::Short => Kind::I16,
            Self::Word => Kind::U16,
            Self::Long => Kind::I32,
            Self::DWord => Kind::U32,
            Self::Float => Kind::F32,
            Self::Double => Kind::F64,
            Self::Bcd => Kind::Bcd(4),
            Self::Lbcd => Kind::Bcd(8),
            Self::LLong => Kind::I64,
            Self::QWord => Kind::U64,
        })
    }

    /// As KEPServerEX calls it, in small letters.
    pub(super) fn name(self) -> &'static str {
        NUMBERED.iter().find(|(base, _)| *base == self).map_or("default", |(_, name)| name)
    }
}

/// How a tag's number is scaled.
#[derive(Clone, Debug)]
pub(super) enum Scaling {
    None,
    Linear(Linear),
    SquareRoot,
    Unreadable(String),
}

/// Linear scaling: two points of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linear {
    pub(super) raw: (f64, f64),
    pub(super) scaled: (f64, f64),
    pub(super) clamp: (bool, bool),
    pub(super) negate: bool,
}

impl Linear {
    pub(super) fn scale_and_offset(&self) -> Result<(f64, f64), String> {
        let (raw, scaled) = (self.raw.1 - self.raw.0, self.scaled.1 - self.scaled.0);
        let scale = scaled / raw;
        let offset = self.scaled.0 - self.raw.0 * scaled / raw;
        if !scale.is_finite() || scale == 0.0 || !offset.is_finite() {
            let ((a, b), (c, d)) = (self.raw, self.scaled);
            return Err(format!("the scaling from {a}..{b} to {c}..{d} cannot be used"));
        }
        Ok(if self.negate { (-scale, -offset) } else { (scale, offset) })
    }

    /// Numbers beyond the line's ends are told, where KEPServerEX held them at the ends.
    pub(super) fn clamp_note(&self) -> Option<String> {
        let (low, high) = self.scaled;
        match self.clamp {
            (false, false) => None,
            (true, false) => Some(format!("was clamped at {low}")),
            (false, true) => Some(format!("was clamped at {high}")),
            (true, true) => Some(format!("was clamped to {low}..{high}")),
        }
    }
}
