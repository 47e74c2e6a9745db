//! Did you mean …?

/// The candidate that looks most like `word`, if any looks like it at all. Letter case, `_` and
/// `-` do not count as differences.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word);
    let limit = (word.len() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A cure that names the nearest candidate, else all of them.
pub(crate) fn cure<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(nearest) = nearest(word, candidates.clone()) {
        return format!("did you mean `{nearest}`?");
    }
    let all: Vec<_> = candidates.into_iter().map(|candidate| format!("`{candidate}`")).collect();
    if all.is_empty() { String::new() } else { format!("what can stand here: {}", all.join(", ")) }
}

fn plain(word: &str) -> Vec<char> {
    // Keys are short; a longer word resembles none of them.
    let letters = word.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
    letters.take(64).map(|c| c.to_ascii_lowercase()).collect()
}

/// Optimal string alignment: insert, delete, replace, and swap of neighbours cost one each.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_finds_its_key_and_another_word_finds_none() {
        let keys = ["port", "host", "filter_duplicates", "address"];
        assert_eq!(nearest("prot", keys), Some("port"));
        assert_eq!(nearest("FilterDuplicates", keys), Some("filter_duplicates"));
        assert_eq!(nearest("adress", keys), Some("address"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest("", keys), None);
        assert!(cure("colour", keys).contains("`host`"));
    }
}
