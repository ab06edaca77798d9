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
  %v9 = add i64 %thread, 1
  %v10 = mul i64 %v8, %thread
  %v11 = udiv i64 %v10, %threads
  %v12 = mul i64 %v8, %v9
  %v13 = udiv i64 %v12, %threads
  %v14 = mul i64 %v11, -1
  %v15 = add i64 %v13, %v14
  %v16 = and i64 %v15, -32
  %v17 = add i64 %v11, %v16
  %v39 = icmp slt i64 %v11, %v17
  br i1 %v39, label %pre19, label %exit38
pre19:
  br label %loop20
loop20:
  %i18 = phi i64 [ %v11, %pre19 ], [ %v40, %loop20 ]
  %v21 = add i64 %i18, 16
  %v22 = getelementptr float, ptr %v1, i64 %i18
  %v23 = load <16 x float>, ptr %v22, align 4
  %v24 = getelementptr float, ptr %v22, i64 16
  %v25 = load <16 x float>, ptr %v24, align 4
  %v26 = getelementptr float, ptr %v3, i64 %i18
  %v27 = load <16 x float>, ptr %v26, align 4
  %v28 = getelementptr float, ptr %v26, i64 16
  %v29 = load <16 x float>, ptr %v28, align 4
  %v30 = getelementptr float, ptr %v5, i64 %i18
  %v31 = load <16 x float>, ptr %v30, align 4
  %v32 = getelementptr float, ptr %v30, i64 16
  %v33 = load <16 x float>, ptr %v32, align 4
  %v34 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v23, <16 x float> %v27, <16 x float> %v31)
  %v35 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v25, <16 x float> %v29, <16 x float> %v33)
  %v36 = getelementptr float, ptr %v7, i64 %i18
  store <16 x float> %v34, ptr %v36, align 4
  %v37 = getelementptr float, ptr %v36, i64 16
  store <16 x float> %v35, ptr %v37, align 4
  %v40 = add nsw i64 %i18, 32
  %v41 = icmp slt i64 %v40, %v17
  br i1 %v41, label %loop20, label %exit38
exit38:
  %v60 = icmp slt i64 %v17, %v13
  br i1 %v60, label %pre43, label %exit59
pre43:
  br label %loop44
loop44:
  %i42 = phi i64 [ %v17, %pre43 ], [ %v61, %loop44 ]
  %v45 = sub i64 %v13, %i42
  %v46 = call i64 @llvm.smin.i64(i64 %v45, i64 16)
  %v47 = trunc i64 %v46 to i32
  %v48 = insertelement <16 x i32> poison, i32 %v47, i64 0
  %v49 = shufflevector <16 x i32> %v48, <16 x i32> poison, <16 x i32> zeroinitializer
  %v50 = icmp ult <16 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7, i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>, %v49
  %v51 = getelementptr float, ptr %v1, i64 %i42
  %v52 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v51, i32 4, <16 x i1> %v50, <16 x float> zeroinitializer)
  %v53 = getelementptr float, ptr %v3, i64 %i42
  %v54 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v53, i32 4, <16 x i1> %v50, <16 x float> zeroinitializer)
  %v55 = getelementptr float, ptr %v5, i64 %i42
  %v56 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v55, i32 4, <16 x i1> %v50, <16 x float> zeroinitializer)
  %v57 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v52, <16 x float> %v54, <16 x float> %v56)
  %v58 = getelementptr float, ptr %v7, i64 %i42
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v57, ptr %v58, i32 4, <16 x i1> %v50)
  %v61 = add nsw i64 %i42, 16
  %v62 = icmp slt i64 %v61, %v13
  br i1 %v62, label %loop44, label %exit59
exit59:
  ret i32 0
}

!0 = !{}
