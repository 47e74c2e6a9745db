//! One part of a multipart stream, framed once for all who get it.

use bytes::Bytes;

/// A document with its part header, in an HTTP chunk. Cheap to clone.
#[derive(Clone, Debug)]
pub(in super::super) struct Part {
    framed: Bytes,
    /// How long the line with the chunk's size is.
    prefix: usize,
    /// The sequence that follows what the part tells.
    pub(super) next: u64,
}

impl Part {
    /// A part that says to go on at `next`.
    pub(super) fn new(boundary: &str, content_type: &str, document: &[u8], next: u64) -> Self {
        let mut head = Vec::with_capacity(128);
        for piece in ["--", boundary, "\r\nContent-type: ", content_type, "\r\nContent-length: "] {
            head.extend_from_slice(piece.as_bytes());
        }
        head.extend_from_slice(itoa::Buffer::new().format(document.len()).as_bytes());
        head.extend_from_slice(b"\r\n\r\n");
        Self::frame(&[&head, document, b"\r\n"], next)
    }

    /// What ends a stream.
    pub(in super::super) fn end(boundary: &str) -> Self {
        Self::frame(&[b"--", boundary.as_bytes(), b"--\r\n"], 0)
    }

    fn frame(pieces: &[&[u8]], next: u64) -> Self {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let size = format!("{length:x}\r\n");
        let mut framed = Vec::with_capacity(size.len() + length + 2);
        framed.extend_from_slice(size.as_bytes());
        for piece in pieces {
            framed.extend_from_slice(piece);
        }
        framed.extend_from_slice(b"\r\n");
        Self { framed: framed.into(), prefix: size.len(), next }
    }

    /// As a chunk of HTTP/1.1.
    pub(in super::super) fn chunk(&self) -> Bytes {
        self.framed.clone()
    }

    /// Without the chunk around it, for HTTP/1.0.
    pub(in super::super) fn plain(&self) -> Bytes {
        self.framed.slice(self.prefix..self.framed.len() - 2)
    }

    /// How much memory it takes.
    pub(super) fn size(&self) -> usize {
        self.framed.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_one_chunk_with_its_length() {
        let part = Part::new("B", "application/xml", b"<a/>", 7);
        let plain = "--B\r\nContent-type: application/xml\r\nContent-length: 4\r\n\r\n<a/>\r\n";
        assert_eq!(part.plain(), plain);
        assert_eq!(part.chunk(), format!("{:x}\r\n{plain}\r\n", plain.len()));
        assert_eq!(Part::end("B").plain(), "--B--\r\n");
    }
}
