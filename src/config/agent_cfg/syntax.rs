//! The syntax of `agent.cfg`: `Key = value`, `Name { … }`, comments from `#` to the end of the line.
//!
//! As the reference agent reads it (its `configuration/parser`): a key is everything up to a space,
//! `=`, a brace or a backslash; a value without quotes ends at the end of the line, at `#` or at
//! `}`; a value in single or double quotes ends at the same quote and may span lines; the brace of a
//! block may stand on a later line. One thing is added: `${NAME}` may stand in a value without
//! quotes.

use std::ops::Range;

/// Blocks deeper than this are refused; the reference agent's reach four levels.
const MOST_LEVELS: usize = 16;

/// A key with its value, or a name with its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) name_span: Range<usize>,
    pub(super) content: Content,
}

/// What belongs to a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Value { text: String, span: Range<usize> },
    Block(Vec<Node>),
}

/// What cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) span: Range<usize>,
    pub(super) what: String,
    pub(super) cure: &'static str,
}

/// What the text says, and everything in it that cannot be read.
pub(super) fn parse(text: &str) -> (Vec<Node>, Vec<SyntaxError>) {
    let mut parser = Parser { text, at: 0, errors: Vec::new() };
    let nodes = parser.document();
    (nodes, parser.errors)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    errors: Vec<SyntaxError>,
}

/// A block that is still open.
struct Open {
    name: String,
    name_span: Range<usize>,
    nodes: Vec<Node>,
}

impl Parser<'_> {
    fn document(&mut self) -> Vec<Node> {
        let mut nodes = Vec::new();
        let mut open: Vec<Open> = Vec::new();
        loop {
            self.skip_space();
            let Some(next) = self.peek() else { break };
            match next {
                '}' => {
                    self.at += 1;
                    match open.pop() {
                        Some(block) => {
                            let parent = open.last_mut().map_or(&mut nodes, |parent| &mut parent.nodes);
                            parent.push(Node {
                                name: block.name,
                                name_span: block.name_span,
                                content: Content::Block(block.nodes),
                            });
                        }
                        None => {
                            self.error(self.at - 1..self.at, "a `}` that closes nothing", "take it away");
                        }
                    }
                }
                '{' | '=' | '\\' => {
                    let span = self.at..self.at + 1;
                    let what = format!("a name is expected before `{next}`");
                    self.error(span.clone(), what, "write `Key = value` or `Name { … }`");
                    self.at += 1;
                    // The block is read all the same, so that its `}` has a partner.
                    if next == '{' {
                        self.open(&mut open, String::new(), span);
                    } else {
                        self.skip_line();
                    }
                }
                _ => self.entry(&mut nodes, &mut open),
            }
        }
        // Blocks that were never closed still count, for the sake of the other findings.
        while let Some(block) = open.pop() {
            let what = format!("the block `{}` is never closed", block.name);
            self.error(block.name_span.clone(), what, "add a `}` where it ends");
            let parent = open.last_mut().map_or(&mut nodes, |parent| &mut parent.nodes);
            parent.push(Node {
                name: block.name,
                name_span: block.name_span,
                content: Content::Block(block.nodes),
            });
        }
        nodes
    }

    fn entry(&mut self, nodes: &mut Vec<Node>, open: &mut Vec<Open>) {
        let start = self.at;
        let end = self.rest().find(|c: char| c.is_ascii_whitespace() || "=\\{}#".contains(c));
        self.at = end.map_or(self.text.len(), |end| start + end);
        let (name, name_span) = (self.text[start..self.at].to_owned(), start..self.at);
        self.skip_blanks();
        if self.peek() == Some('=') {
            self.at += 1;
            if let Some((text, span)) = self.value(&name, &name_span) {
                let parent = open.last_mut().map_or(nodes, |parent| &mut parent.nodes);
                parent.push(Node { name, name_span, content: Content::Value { text, span } });
            }
            return;
        }
        let behind = self.at;
        self.skip_space();
        if self.peek() == Some('{') {
            self.at += 1;
            self.open(open, name, name_span);
            return;
        }
        self.at = behind;
        let what = format!("`{name}` has neither a value nor a block");
        self.error(name_span, what, "write `Key = value` or `Name { … }`");
        self.skip_line();
    }

    fn open(&mut self, open: &mut Vec<Open>, name: String, name_span: Range<usize>) {
        if open.len() == MOST_LEVELS {
            self.error(name_span, "blocks are nested too deeply", "no block of agent.cfg is that deep");
            self.at = self.text.len();
            return;
        }
        open.push(Open { name, name_span, nodes: Vec::new() });
    }

    fn value(&mut self, name: &str, name_span: &Range<usize>) -> Option<(String, Range<usize>)> {
        while matches!(self.peek(), Some(' ' | '\t' | '\r')) {
            self.at += 1;
        }
        let start = self.at;
        if let Some(quote @ ('"' | '\'')) = self.peek() {
            let Some(length) = self.text[start + 1..].find(quote) else {
                self.error(start..start + 1, "this quote is never closed", "close it with the same sign");
                self.skip_line();
                return None;
            };
            self.at = start + 1 + length + 1;
            let value = (self.text[start + 1..self.at - 1].trim().to_owned(), start..self.at);
            self.skip_blanks();
            if !matches!(self.peek(), None | Some('\n' | '}')) {
                let behind = self.at;
                self.skip_line();
                let cure = "put all of the value between the quotes, or write `#` before a comment";
                self.error(behind..self.at, "there is something behind the closing quote", cure);
            }
            return Some(value);
        }
        let mut end = start;
        let bytes = self.text.as_bytes();
        while end < bytes.len() && !matches!(bytes[end], b'\n' | b'#' | b'}') {
            end += 1;
            // A brace that belongs to a variable does not close the block.
            if bytes[end - 1] == b'$'
                && bytes.get(end) == Some(&b'{')
                && let Some(length) = self.text[end..].find(['}', '\n'])
                && bytes[end + length] == b'}'
            {
                end += length + 1;
            }
        }
        self.at = end;
        let value = self.text[start..end].trim();
        if value.is_empty() {
            let what = format!("`{name}` has no value");
            self.error(name_span.clone(), what, "write one behind the `=`, or take the line away");
            return None;
        }
        let from = start + (self.text[start..end].len() - self.text[start..end].trim_start().len());
        Some((value.to_owned(), from..from + value.len()))
    }

    fn error(&mut self, span: Range<usize>, what: impl Into<String>, cure: &'static str) {
        self.errors.push(SyntaxError { span, what: what.into(), cure });
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Blanks and a comment, but not the end of the line.
    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\r' | '\x0b' | '\x0c')) {
            self.at += 1;
        }
        if self.peek() == Some('#') {
            self.skip_line();
        }
    }

    /// Blanks, comments and ends of lines.
    fn skip_space(&mut self) {
        loop {
            self.skip_blanks();
            if self.peek() != Some('\n') {
                return;
            }
            self.at += 1;
        }
    }

    /// To the end of the line, which stays.
    fn skip_line(&mut self) {
        self.at = self.rest().find('\n').map_or(self.text.len(), |end| self.at + end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(nodes: &[Node]) -> String {
        let shown = nodes.iter().map(|node| match &node.content {
            Content::Value { text, .. } => format!("{}={text}", node.name),
            Content::Block(nodes) => format!("{}{{{}}}", node.name, shape(nodes)),
        });
        shown.collect::<Vec<_>>().join(";")
    }

    fn read(text: &str) -> String {
        let (nodes, errors) = parse(text);
        assert_eq!(errors, [], "{text}");
        shape(&nodes)
    }

    #[test]
    fn keys_blocks_and_comments_are_read() {
        let text =
            "# top\nPort = 5000 # comment\r\nAdapters\n# between\n{\n  A { Host = h\n Port = 1 }\n}\nX=\n";
        let (nodes, errors) = parse(text);
        assert_eq!(shape(&nodes), "Port=5000;Adapters{A{Host=h;Port=1}}");
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].what, "`X` has no value");
    }

    #[test]
    fn a_block_may_stand_on_one_line() {
        assert_eq!(read("Adapters { A { Host = h } B { Host = i } }"), "Adapters{A{Host=h};B{Host=i}}");
    }

    #[test]
    fn quotes_keep_what_would_end_a_value() {
        assert_eq!(
            read("A = \"a # b } c\" # d\nB = 'it \"is\"'}".trim_end_matches('}')),
            "A=a # b } c;B=it \"is\""
        );
        assert_eq!(read("A = 'two\nlines'"), "A=two\nlines");
    }

    #[test]
    fn a_variable_in_braces_does_not_end_its_block() {
        assert_eq!(read("A { B = ${HOST}:1 }\nC = $D"), "A{B=${HOST}:1};C=$D");
    }

    #[test]
    fn every_fault_is_found_and_the_rest_is_read() {
        let (nodes, errors) = parse("Port 5000\n}\n= 3\nA = \"open\nB = 'x' y\nC {\nD = 1\n");
        let whats: Vec<_> = errors.iter().map(|error| error.what.as_str()).collect();
        assert_eq!(
            whats,
            [
                "`Port` has neither a value nor a block",
                "a `}` that closes nothing",
                "a name is expected before `=`",
                "this quote is never closed",
                "there is something behind the closing quote",
                "the block `C` is never closed",
            ]
        );
        assert_eq!(shape(&nodes), "B=x;C{D=1}");
    }

    #[test]
    fn values_and_names_know_their_places() {
        let text = "A {\n  Host =  mill \n}";
        let (nodes, _) = parse(text);
        let Content::Block(inner) = &nodes[0].content else { panic!("a block") };
        let Content::Value { span, .. } = &inner[0].content else { panic!("a value") };
        assert_eq!(&text[span.clone()], "mill");
        assert_eq!(&text[inner[0].name_span.clone()], "Host");
    }

    #[test]
    fn deep_nesting_is_refused() {
        let (_, errors) = parse(&"a {".repeat(100_000));
        assert!(errors.iter().any(|error| error.what.contains("too deeply")));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "([A-Za-z]{0,3} ?= ?[$a\"'#{}\\\\]{0,4}|[{}\n#\r]|\\PC{0,8}){0,16}") {
            parse(&text);
        }

        #[test]
        fn what_is_written_is_read_back(keys in proptest::collection::vec(("[A-Za-z][A-Za-z0-9_:.-]{0,8}", "[^\"\r\n]{0,12}"), 0..8)) {
            let text: String = keys.iter().map(|(key, value)| format!("{key} = \"{value}\"\n")).collect();
            let (nodes, errors) = parse(&text);
            proptest::prop_assert_eq!(errors, vec![]);
            let read: Vec<_> = nodes.into_iter().map(|node| match node.content {
                Content::Value { text, .. } => (node.name, text),
                Content::Block(_) => (node.name, "a block".to_owned()),
            }).collect();
            let written: Vec<_> = keys.into_iter().map(|(key, value)| (key, value.trim().to_owned())).collect();
            proptest::prop_assert_eq!(read, written);
        }
    }
}
