"""The memory behind interfaces of other frameworks: LangGraph's store, LangChain's retriever and chat-message history.

They need the extra ``langchain``, and stand on the Python client.
"""
