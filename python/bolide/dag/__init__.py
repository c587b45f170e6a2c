"""Graphs of calls: bound now, executed later, any number of times.

``f.bind(...)`` makes a node instead of a call; nodes are arguments of other nodes; `InputNode`
stands for what `execute` is given. A graph of methods of living actors can be compiled. Follows
Ray's pages "Lazy Computation Graphs with the Ray DAG API" and "Ray Compiled Graph".

This module only names what is public. It uses bolide's public functions, and not its core.
"""

from .class_node import ClassMethodNode, ClassNode
from .compiled_dag_node import CompiledDAG
from .compiled_dag_ref import CompiledDAGFuture, CompiledDAGRef
from .dag_node import DAGNode
from .function_node import FunctionNode
from .input_node import DAGInputData, InputAttributeNode, InputNode
from .output_node import MultiOutputNode

__all__ = [
    "ClassMethodNode",
    "ClassNode",
    "CompiledDAG",
    "CompiledDAGFuture",
    "CompiledDAGRef",
    "DAGInputData",
    "DAGNode",
    "FunctionNode",
    "InputAttributeNode",
    "InputNode",
    "MultiOutputNode",
]
