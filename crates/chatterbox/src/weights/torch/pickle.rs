//! A machine for the pickles of dictionaries of tensors: protocol 2, which `torch.save` writes, and nothing that runs code.
//!
//! Containers live in two arenas and values refer to them by index. So a container may be filled after it was remembered, as
//! pickles do, and neither a cycle nor a million nested tuples can exhaust the stack when values are dropped.

use std::collections::HashMap;
use std::rc::Rc;

use safetensors::Dtype;

use super::TorchError;

/// Open brackets at a time; a state dict has four.
const MOST_MARKS: usize = 64;
/// Axes of a tensor.
const MOST_AXES: usize = 8;

/// What an instruction leaves on the stack. Cheap to copy.
#[derive(Clone, Debug)]
pub(super) enum Value {
    None,
    Number(f64),
    Text(Rc<str>),
    /// A tuple or a list.
    Sequence(usize),
    Dictionary(usize),
    Global(Global),
    Storage(Rc<Storage>),
    Tensor(Rc<TensorView>),
}

/// The names that may be asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Global {
    RebuildTensor,
    OrderedDict,
    Storage(Dtype),
}

impl Global {
    fn named(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch", "FloatStorage") => Self::Storage(Dtype::F32),
            ("torch", "HalfStorage") => Self::Storage(Dtype::F16),
            ("torch", "BFloat16Storage") => Self::Storage(Dtype::BF16),
            ("torch", "LongStorage") => Self::Storage(Dtype::I64),
            ("torch", "IntStorage") => Self::Storage(Dtype::I32),
            _ => return None,
        })
    }
}

/// A run of numbers in the archive, shared by the tensors that view it.
#[derive(Debug)]
pub(super) struct Storage {
    pub(super) dtype: Dtype,
    /// The name of its entry under `data/`.
    pub(super) key: Rc<str>,
}

/// A tensor as the pickle describes it; nothing is checked yet.
#[derive(Debug)]
pub(super) struct TensorView {
    pub(super) storage: Rc<Storage>,
    /// Elements of the storage before the first one.
    offset: usize,
    pub(super) shape: Vec<usize>,
    /// Elements from one to the next along each axis.
    pub(super) strides: Vec<usize>,
}

impl TensorView {
    pub(super) fn elements(&self) -> Option<usize> {
        self.shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size))
    }

    /// The first element in the storage and the number of elements from it to the last one. `None`: too large to count.
    pub(super) fn span(&self) -> Option<(usize, usize)> {
        if self.elements()? == 0 {
            return Some((self.offset, 0));
        }
        let last =
            self.shape.iter().zip(&self.strides).try_fold(0_usize, |last, (&size, &stride)| {
                last.checked_add((size - 1).checked_mul(stride)?)
            })?;
        Some((self.offset, last.checked_add(1)?))
    }

    /// Whether the elements follow each other. Along an axis of one element the stride means nothing.
    pub(super) fn is_row_major(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected *= size;
            fits
        })
    }
}

/// The machine, and after its run the containers that the values refer to.
#[derive(Debug, Default)]
pub(super) struct Pickle {
    stack: Vec<Value>,
    /// Heights of the stack at the open brackets.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    sequences: Vec<Vec<Value>>,
    dictionaries: Vec<Vec<(Rc<str>, Value)>>,
}

impl Pickle {
    /// Runs a pickle and returns its result with the containers.
    pub(super) fn run(bytes: &[u8]) -> Result<(Value, Self), TorchError> {
        let mut machine = Self::default();
        let mut reader = Reader { bytes, position: 0 };
        loop {
            let position = reader.position;
            let opcode = reader.byte()?;
            let wrong = |problem| TorchError::Pickle { position, problem };
            if opcode == b'.' {
                let root = machine.pop().map_err(wrong)?;
                return Ok((root, machine));
            }
            machine.step(opcode, position, &mut reader)?.map_err(wrong)?;
        }
    }

    pub(super) fn sequence(&self, id: usize) -> &[Value] {
        self.sequences.get(id).map_or(&[], Vec::as_slice)
    }

    pub(super) fn dictionary(&self, id: usize) -> &[(Rc<str>, Value)] {
        self.dictionaries.get(id).map_or(&[], Vec::as_slice)
    }

    /// One instruction. The outer error is the file's, the inner one a misuse of the stack.
    fn step(
        &mut self,
        opcode: u8,
        position: usize,
        reader: &mut Reader,
    ) -> Result<Result<(), &'static str>, TorchError> {
        let value = match opcode {
            b'\x80' => {
                reader.byte()?;
                return Ok(Ok(()));
            }
            b'(' => return Ok(self.mark()),
            b'q' => return Ok(self.remember(u32::from(reader.byte()?))),
            b'r' => return Ok(self.remember(u32::from_le_bytes(reader.array()?))),
            b'a' => return Ok(self.append()),
            b'e' => return Ok(self.extend()),
            b's' => return Ok(self.set_item()),
            b'u' => return Ok(self.set_items()),
            b'b' => return Ok(self.build()),
            b'N' => Ok(Value::None),
            b'\x88' => Ok(Value::Number(1.0)),
            b'\x89' => Ok(Value::Number(0.0)),
            b'K' => Ok(Value::Number(f64::from(reader.byte()?))),
            b'M' => Ok(Value::Number(f64::from(u16::from_le_bytes(reader.array()?)))),
            b'J' => Ok(Value::Number(f64::from(i32::from_le_bytes(reader.array()?)))),
            b'\x8a' => reader.long()?.map(Value::Number),
            b'G' => Ok(Value::Number(f64::from_be_bytes(reader.array()?))),
            b'X' => reader.text()?.map(Value::Text),
            b'}' => Ok(self.new_dictionary()),
            b']' | b')' => Ok(self.new_sequence(Vec::new())),
            b't' => self.pop_to_mark().map(|values| self.new_sequence(values)),
            b'\x85' => self.tuple(1),
            b'\x86' => self.tuple(2),
            b'\x87' => self.tuple(3),
            b'h' => self.recall(u32::from(reader.byte()?)),
            b'j' => self.recall(u32::from_le_bytes(reader.array()?)),
            b'c' => Ok(Value::Global(reader.global()?)),
            b'Q' => self.storage(),
            b'R' => self.reduce(),
            _ => return Err(TorchError::Opcode { opcode, position }),
        };
        Ok(value.map(|value| self.stack.push(value)))
    }

    fn mark(&mut self) -> Result<(), &'static str> {
        if self.marks.len() == MOST_MARKS {
            return Err("nested too deeply");
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, &'static str> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() > floor { self.stack.pop().ok_or(EMPTY) } else { Err(EMPTY) }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, &'static str> {
        let mark = self.marks.pop().ok_or("a bracket closes that none opened")?;
        Ok(self.stack.split_off(mark))
    }

    fn remember(&mut self, id: u32) -> Result<(), &'static str> {
        let value = self.stack.last().cloned().ok_or(EMPTY)?;
        self.memo.insert(id, value);
        Ok(())
    }

    fn recall(&self, id: u32) -> Result<Value, &'static str> {
        self.memo.get(&id).cloned().ok_or("it recalls what was not remembered")
    }

    fn new_sequence(&mut self, values: Vec<Value>) -> Value {
        self.sequences.push(values);
        Value::Sequence(self.sequences.len() - 1)
    }

    fn new_dictionary(&mut self) -> Value {
        self.dictionaries.push(Vec::new());
        Value::Dictionary(self.dictionaries.len() - 1)
    }

    fn tuple(&mut self, length: usize) -> Result<Value, &'static str> {
        let mut values = (0..length).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        values.reverse();
        Ok(self.new_sequence(values))
    }

    fn append(&mut self) -> Result<(), &'static str> {
        let value = self.pop()?;
        self.fill_sequence(vec![value])
    }

    fn extend(&mut self) -> Result<(), &'static str> {
        let values = self.pop_to_mark()?;
        self.fill_sequence(values)
    }

    fn fill_sequence(&mut self, values: Vec<Value>) -> Result<(), &'static str> {
        let Some(Value::Sequence(id)) = self.stack.last() else { return Err("it appends to no list") };
        self.sequences.get_mut(*id).ok_or(EMPTY)?.extend(values);
        Ok(())
    }

    fn set_item(&mut self) -> Result<(), &'static str> {
        let value = self.pop()?;
        let key = self.pop()?;
        self.fill_dictionary(vec![key, value])
    }

    fn set_items(&mut self) -> Result<(), &'static str> {
        let values = self.pop_to_mark()?;
        self.fill_dictionary(values)
    }

    fn fill_dictionary(&mut self, pairs: Vec<Value>) -> Result<(), &'static str> {
        let Some(Value::Dictionary(id)) = self.stack.last() else { return Err("it adds to no dictionary") };
        let dictionary = self.dictionaries.get_mut(*id).ok_or(EMPTY)?;
        let mut pairs = pairs.into_iter();
        while let Some(key) = pairs.next() {
            let Value::Text(key) = key else { return Err("a dictionary's key is not text") };
            dictionary.push((key, pairs.next().ok_or("a dictionary's key has no value")?));
        }
        Ok(())
    }

    /// Sets attributes: a state dict carries the versions of its modules in one, and no other object is known here.
    fn build(&mut self) -> Result<(), &'static str> {
        self.pop()?;
        match self.stack.last() {
            Some(Value::Dictionary(_)) => Ok(()),
            _ => Err("it sets attributes of something that is no dictionary"),
        }
    }

    /// `('storage', type, key, device, elements)`. The device is where it lay when it was saved.
    fn storage(&mut self) -> Result<Value, &'static str> {
        const WRONG: &str = "it names no storage";
        let Value::Sequence(id) = self.pop()? else { return Err(WRONG) };
        let [Value::Text(kind), Value::Global(Global::Storage(dtype)), Value::Text(key), _, _] =
            self.sequence(id)
        else {
            return Err(WRONG);
        };
        if &**kind != "storage" {
            return Err(WRONG);
        }
        Ok(Value::Storage(Rc::new(Storage { dtype: *dtype, key: key.clone() })))
    }

    /// A call of one of the two functions that are known.
    fn reduce(&mut self) -> Result<Value, &'static str> {
        let arguments = self.pop()?;
        let function = self.pop()?;
        match (function, arguments) {
            (Value::Global(Global::OrderedDict), Value::Sequence(id)) if self.sequence(id).is_empty() => {
                Ok(self.new_dictionary())
            }
            (Value::Global(Global::RebuildTensor), Value::Sequence(id)) => self.tensor(id),
            _ => Err("it calls something that cannot be called so"),
        }
    }

    /// `(storage, offset, shape, strides, requires_grad, hooks)`; newer versions may add metadata.
    fn tensor(&self, arguments: usize) -> Result<Value, &'static str> {
        let [
            Value::Storage(storage),
            Value::Number(offset),
            Value::Sequence(shape),
            Value::Sequence(strides),
            ..,
        ] = self.sequence(arguments)
        else {
            return Err("it builds a tensor of something else");
        };
        let counts = |id: usize| self.sequence(id).iter().map(count).collect::<Option<Vec<usize>>>();
        let view = || {
            let (shape, strides) = (counts(*shape)?, counts(*strides)?);
            (shape.len() == strides.len() && shape.len() <= MOST_AXES).then_some(TensorView {
                storage: storage.clone(),
                offset: count(&Value::Number(*offset))?,
                shape,
                strides,
            })
        };
        view().map(|view| Value::Tensor(Rc::new(view))).ok_or("a tensor's shape is no shape")
    }
}

const EMPTY: &str = "it takes a value where there is none";

/// A number that counts something; exact, since no file has 2⁵³ elements.
fn count(value: &Value) -> Option<usize> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if (0.0..EXACT).contains(number) && number.fract() == 0.0 => {
            Some(*number as usize)
        }
        _ => None,
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], TorchError> {
        let ended = TorchError::Pickle { position: self.position, problem: "it ends too soon" };
        let taken = self.bytes[self.position..].get(..length).ok_or(ended)?;
        self.position += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TorchError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8, TorchError> {
        Ok(self.array::<1>()?[0])
    }

    /// A length, then UTF-8.
    fn text(&mut self) -> Result<Result<Rc<str>, &'static str>, TorchError> {
        let length = u32::from_le_bytes(self.array()?) as usize;
        Ok(std::str::from_utf8(self.take(length)?).map(Rc::from).map_err(|_| "its text is not UTF-8"))
    }

    /// A length, then a little-endian two's complement of so many bytes: what does not fit 32 bits.
    fn long(&mut self) -> Result<Result<f64, &'static str>, TorchError> {
        let length = usize::from(self.byte()?);
        let digits = self.take(length)?;
        let sign = if digits.last().is_some_and(|byte| byte & 0x80 != 0) { 0xFF } else { 0 };
        let mut all = [sign; 8];
        Ok(match all.get_mut(..length) {
            Some(low) => {
                low.copy_from_slice(digits);
                Ok(i64::from_le_bytes(all) as f64)
            }
            None => Err("an integer has more than 64 bits"),
        })
    }

    /// Module and name, a line each.
    fn global(&mut self) -> Result<Global, TorchError> {
        let (module, name) = (self.line()?, self.line()?);
        Global::named(&module, &name).ok_or(TorchError::Global { module, name })
    }

    fn line(&mut self) -> Result<String, TorchError> {
        let rest = &self.bytes[self.position..];
        // A name that is not found by then is none of ours; the message need not be longer either.
        let length = rest.iter().take(256).position(|&byte| byte == b'\n').unwrap_or(256);
        let line = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Ok(line)
    }
}
