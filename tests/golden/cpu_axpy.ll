declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
declare <16 x float> @llvm.masked.load.v16f32.p0(ptr, i32, <16 x i1>, <16 x float>)
declare i64 @llvm.smin.i64(i64, i64)
declare void @llvm.masked.store.v16f32.p0(<16 x float>, ptr, i32, <16 x i1>)

define i32 @k(ptr %args, ptr %sizes, ptr %scalars, ptr %scratch, i64 %thread, i64 %threads) {
entry:
  %v1 = load ptr, ptr %args, !invariant.load !0
  %v2 = getelementptr i8, ptr %args, i64 8
  %v3 = load ptr, ptr %v2, !invariant.load !0
  %v4 = getelementptr i8, ptr %args, i64 16
  %v5 = load ptr, ptr %v4, !invariant.load !0
  %v6 = getelementptr i8, ptr %args, i64 24
  %v7 = load ptr, ptr %v6, !invariant.load !0
  %v8 = load i64, ptr %sizes, !invariant.load !0
  %v9 = add i64 31, %v8
  %v10 = ashr i64 %v9, 5
  %v11 = add i64 %thread, 1
  %v12 = mul i64 %v10, %thread
  %v13 = udiv i64 %v12, %threads
  %v14 = mul i64 %v10, %v11
  %v15 = udiv i64 %v14, %threads
  %v16 = mul i64 %v13, 32
  %v17 = mul i64 %v15, 32
  %v18 = call i64 @llvm.smin.i64(i64 %v16, i64 %v8)
  %v19 = call i64 @llvm.smin.i64(i64 %v17, i64 %v8)
  %v20 = mul i64 %v18, -1
  %v21 = add i64 %v19, %v20
  %v22 = and i64 %v21, -32
  %v23 = add i64 %v18, %v22
  %v45 = icmp slt i64 %v18, %v23
  br i1 %v45, label %pre25, label %exit44
pre25:
  br label %loop26
loop26:
  %i24 = phi i64 [ %v18, %pre25 ], [ %v46, %loop26 ]
  %v27 = add i64 %i24, 16
  %v28 = getelementptr float, ptr %v1, i64 %i24
  %v29 = load <16 x float>, ptr %v28, align 4
  %v30 = getelementptr float, ptr %v28, i64 16
  %v31 = load <16 x float>, ptr %v30, align 4
  %v32 = getelementptr float, ptr %v3, i64 %i24
  %v33 = load <16 x float>, ptr %v32, align 4
  %v34 = getelementptr float, ptr %v32, i64 16
  %v35 = load <16 x float>, ptr %v34, align 4
  %v36 = getelementptr float, ptr %v5, i64 %i24
  %v37 = load <16 x float>, ptr %v36, align 4
  %v38 = getelementptr float, ptr %v36, i64 16
  %v39 = load <16 x float>, ptr %v38, align 4
  %v40 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v29, <16 x float> %v33, <16 x float> %v37)
  %v41 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v31, <16 x float> %v35, <16 x float> %v39)
  %v42 = getelementptr float, ptr %v7, i64 %i24
  store <16 x float> %v40, ptr %v42, align 4
  %v43 = getelementptr float, ptr %v42, i64 16
  store <16 x float> %v41, ptr %v43, align 4
  %v46 = add nsw i64 %i24, 32
  %v47 = icmp slt i64 %v46, %v23
  br i1 %v47, label %loop26, label %exit44
exit44:
  %v66 = icmp slt i64 %v23, %v19
  br i1 %v66, label %pre49, label %exit65
pre49:
  br label %loop50
loop50:
  %i48 = phi i64 [ %v23, %pre49 ], [ %v67, %loop50 ]
  %v51 = sub i64 %v19, %i48
  %v52 = call i64 @llvm.smin.i64(i64 %v51, i64 16)
  %v53 = trunc i64 %v52 to i32
  %v54 = insertelement <16 x i32> poison, i32 %v53, i64 0
  %v55 = shufflevector <16 x i32> %v54, <16 x i32> poison, <16 x i32> zeroinitializer
  %v56 = icmp ult <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>, %v55
  %v57 = getelementptr float, ptr %v1, i64 %i48
  %v58 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v57, i32 4, <16 x i1> %v56, <16 x float> zeroinitializer)
  %v59 = getelementptr float, ptr %v3, i64 %i48
  %v60 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v59, i32 4, <16 x i1> %v56, <16 x float> zeroinitializer)
  %v61 = getelementptr float, ptr %v5, i64 %i48
  %v62 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v61, i32 4, <16 x i1> %v56, <16 x float> zeroinitializer)
  %v63 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v58, <16 x float> %v60, <16 x float> %v62)
  %v64 = getelementptr float, ptr %v7, i64 %i48
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v63, ptr %v64, i32 4, <16 x i1> %v56)
  %v67 = add nsw i64 %i48, 16
  %v68 = icmp slt i64 %v67, %v19
  br i1 %v68, label %loop50, label %exit65
exit65:
  ret i32 0
}

!0 = !{}
