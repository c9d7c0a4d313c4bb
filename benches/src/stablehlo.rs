//! Programs in StableHLO that other systems have written, with their arguments.

use std::ops::Range;
use std::path::Path;

use stochgrad_xla::pjrt::{Buffer, Client, Executable};

use crate::BenchResult;

/// A program of a file, with its arguments on the first device of a client.
pub struct Foreign {
    program: Executable,
    arguments: Vec<Buffer>,
    /// The results whose values donated arguments get, by argument.
    state: Vec<Option<usize>>,
}

impl Foreign {
    /// Compiles the text of a file. The file beside it that ends in `.bin` has the bytes of all arguments.
    ///
    /// # Errors
    /// If a file is missing, the arguments do not fit, or the plugin refuses the program.
    pub fn load(client: &Client, path: &Path) -> BenchResult<Self> {
        let text = std::fs::read_to_string(path)?;
        let bytes = std::fs::read(path.with_extension("bin"))?;
        let arguments = arguments(&text)?;
        let expected = arguments.last().map_or(0, |argument| argument.bytes.end);
        if expected != bytes.len() {
            return Err(
                format!("{}: expected {expected} bytes of arguments, got {}", path.display(), bytes.len()).into()
            );
        }
        Ok(Self {
            program: client.compile(&text, &[0])?,
            state: arguments.iter().map(|argument| argument.result).collect(),
            arguments: arguments
                .iter()
                .map(|argument| argument.upload(client, &bytes[argument.bytes.clone()]))
                .collect::<BenchResult<_>>()?,
        })
    }

    /// Runs the program, and waits for its results.
    ///
    /// # Errors
    /// Those of the plugin.
    pub fn step(&mut self) -> BenchResult<()> {
        let arguments: Vec<&Buffer> = self.arguments.iter().collect();
        let mut results: Vec<Option<Buffer>> = self.program.run(&arguments)?.into_iter().map(Some).collect();
        for result in results.iter().flatten() {
            result.wait()?;
        }
        for (argument, result) in self.arguments.iter_mut().zip(&self.state) {
            if let Some(result) = result.and_then(|result| results.get_mut(result)).and_then(Option::take) {
                *argument = result;
            }
        }
        Ok(())
    }
}

/// An argument of a program.
#[derive(Debug, PartialEq)]
struct Argument {
    kind: String,
    shape: Vec<usize>,
    bytes: Range<usize>,
    /// The result to which it is tied.
    result: Option<usize>,
}

impl Argument {
    fn upload(&self, client: &Client, bytes: &[u8]) -> BenchResult<Buffer> {
        let words = || bytes.chunks_exact(4).map(|word| [word[0], word[1], word[2], word[3]]);
        Ok(match self.kind.as_str() {
            "f32" => client.upload(0, &words().map(f32::from_le_bytes).collect::<Vec<_>>(), &self.shape)?,
            "i32" => client.upload(0, &words().map(i32::from_le_bytes).collect::<Vec<_>>(), &self.shape)?,
            "ui32" => client.upload(0, &words().map(u32::from_le_bytes).collect::<Vec<_>>(), &self.shape)?,
            other => return Err(format!("expected arguments of type f32, i32 or ui32, got {other}").into()),
        })
    }
}

/// The arguments of the function `@main`.
fn arguments(text: &str) -> BenchResult<Vec<Argument>> {
    let (_, rest) = text.split_once("@main(").ok_or("expected a function @main, got none")?;
    let (list, _) = rest.split_once(") -> ").ok_or("expected results of the function @main, got none")?;
    let mut arguments: Vec<Argument> = Vec::new();
    for argument in list.split("%").skip(1) {
        let kind = argument.split_once("tensor<").and_then(|(_, kind)| kind.split_once('>'));
        let (kind, attributes) = kind.ok_or_else(|| format!("expected a tensor, got {argument}"))?;
        let mut sizes: Vec<&str> = kind.split('x').collect();
        let kind = sizes.pop().unwrap_or_default().to_owned();
        let shape = sizes.into_iter().map(str::parse).collect::<Result<Vec<usize>, _>>()?;
        let start = arguments.last().map_or(0, |argument| argument.bytes.end);
        let result = attributes
            .split_once("tf.aliasing_output = ")
            .map(|(_, number)| number.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().parse::<usize>());
        let bytes = start..start + 4 * shape.iter().product::<usize>();
        arguments.push(Argument { kind, shape, bytes, result: result.transpose()? });
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_of_a_program_are_read() {
        let text = "module @jit_f {\n  func.func public @main(%arg0: tensor<2x3xf32> {tf.aliasing_output = 1 : i32}, \
                    %arg1: tensor<i32>, %arg2: tensor<2xui32>) -> (tensor<f32>, tensor<2x3xf32>) {";
        let argument = |kind: &str, shape: &[usize], bytes, result| Argument {
            kind: kind.into(),
            shape: shape.to_vec(),
            bytes,
            result,
        };
        let expected = [
            argument("f32", &[2, 3], 0..24, Some(1)),
            argument("i32", &[], 24..28, None),
            argument("ui32", &[2], 28..36, None),
        ];
        assert_eq!(arguments(text).expect("arguments"), expected);
        assert!(arguments("func.func @other()").is_err());
    }
}
