// Package torch reads the files of torch.save that hold a state dict: named
// tensors, as pytorch_model.bin has them. Two containers exist, both made of
// Python pickles:
//
//	zip     since PyTorch 1.6: NAME/data.pkl describes the tensors, NAME/data/KEY holds
//	        the values of a storage, NAME/byteorder says "little" or "big"
//	legacy  before: a stream of pickles (a magic number, a version, facts about the
//	        machine, the tensors, the keys of the storages) and then the storages, each a
//	        64-bit count and so many little-endian values
//
// A pickle is a program for a stack machine that may call any function of
// Python; whoever unpickles a stranger's file runs a stranger's program. The
// machine in this package knows tensors, storages, ordered dicts and sizes, and
// nothing else: whatever other function or class a file names is a
// [*RefusedError] that bears the name. A file that is damaged or contradicts
// itself is a [*FormatError], one that is in order but has no reader here an
// [*UnsupportedError]. To read a pickle, which has at most 16 MiB, takes at most
// 70 times its length in memory, and 14 times its length is kept.
//
// A tensor is a view of a storage: offset, shape and strides. Views of one
// storage (tied weights) and views that are not contiguous (transposed weights)
// are read as they are meant; values come out row-major.
//
// Sources: pytorch/pytorch, torch/serialization.py (_save, _load, _legacy_save,
// _legacy_load), torch/_utils.py (_rebuild_tensor_v2), and CPython,
// Lib/pickletools.py for the machine.
package torch
